#!/bin/sh
# Makes sure that cargo-deny is there, which checks the licences and sources of crates. Building it takes some minutes.
set -eu

if ! cargo deny --version >/dev/null 2>&1; then
    echo "cargo-deny is missing: installing it with cargo" >&2
    cargo install --locked cargo-deny
fi
