#!/bin/sh
# Makes sure that wrk is there, which the benches load the HTTP server with.
set -eu
. "$(dirname "$0")/apt.sh"

if ! command -v wrk >/dev/null; then
    announce_install wrk wrk
    apt_install wrk
fi
