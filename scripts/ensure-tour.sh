#!/bin/sh
# Makes sure that what the tour of README.md is taken with is there.
set -eu
. "$(dirname "$0")/apt.sh"

for program in curl jq; do
    if ! command -v "$program" >/dev/null; then
        announce_install "$program" "$program"
        apt_install "$program"
    fi
done
