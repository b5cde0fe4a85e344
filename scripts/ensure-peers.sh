#!/bin/sh
# Makes sure that what the peers are built, run and loaded with is there. What cannot be installed fails with its peer, not here.
set -eu
. "$(dirname "$0")/apt.sh"

# ensure PROGRAM PACKAGE
ensure() {
    if ! command -v "$1" >/dev/null; then
        (announce_install "$1" "$2" && apt_install "$2") || true
    fi
}

ensure python3 python3
ensure node nodejs
ensure npm npm
ensure protoc protobuf-compiler
ensure wrk wrk
if ! python3 -c 'import ensurepip' 2>/dev/null; then
    (announce_install "Python's venv" python3-venv && apt_install python3-venv) || true
fi
