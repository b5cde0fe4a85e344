#!/bin/sh
# Makes sure that the workspace can be built: some of the crates are partly written in C.
set -eu
. "$(dirname "$0")/apt.sh"

if ! command -v "${CC:-cc}" >/dev/null; then
    announce_install "A C compiler" build-essential
    apt_install build-essential
fi
if ! command -v cargo >/dev/null; then
    echo "There is no cargo in PATH: install a Rust toolchain (https://rustup.rs)." >&2
    exit 1
fi
