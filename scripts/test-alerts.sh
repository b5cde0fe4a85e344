#!/bin/sh
# Tests the alert rules, where Prometheus's promtool is installed.
set -eu

if ! command -v promtool >/dev/null; then
    echo "promtool is not installed (apt-get install prometheus): the alert rules are not tested." >&2
    exit 0
fi
cd "$(dirname "$0")/../ops/prometheus"
promtool check config prometheus.yml
promtool test rules alerts_test.yml
