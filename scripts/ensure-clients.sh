#!/bin/sh
# Makes sure that the clients that tests drive the server with are there, in these versions, below the target directory:
#   mcp      the official clients of MCP and its conformance suite
#   openapi  generators of clients from the published document, and a linter for it
# They need a newer Node.js than Debian has; that comes by npm, too.
set -eu
. "$(dirname "$0")/apt.sh"

case "${1:-}" in
mcp)
    node_packages="node@22.23.3 @modelcontextprotocol/conformance@0.2.0-alpha.12 \
@modelcontextprotocol/client@2.4.0 @modelcontextprotocol/sdk@1.32.2"
    python_packages="mcp==2.3.0"
    ;;
openapi)
    node_packages="node@22.23.3 @hey-api/openapi-ts@0.99.0 @redocly/cli@2.77.0 typescript@5.9.3 @types/node@22"
    python_packages="openapi-python-client==0.29.1 python-dateutil==2.9.0.post0 mypy==1.18.2"
    ;;
*)
    echo "usage: $0 mcp|openapi" >&2
    exit 2
    ;;
esac
directory=${CARGO_TARGET_DIR:-$(dirname "$0")/../target}/$1

if [ "$(cat "$directory/installed" 2>/dev/null)" = "$node_packages $python_packages" ]; then
    exit 0
fi
if ! command -v npm >/dev/null; then
    announce_install npm npm
    apt_install npm
fi
if ! python3 -c 'import ensurepip' 2>/dev/null; then
    announce_install "Python's venv" python3-venv
    apt_install python3-venv
fi
echo "Installing the clients for tests ($1) into $directory." >&2
mkdir -p "$directory"
# Not one of the directories above: npm would install there.
echo '{"private": true}' >"$directory/package.json"
# shellcheck disable=SC2086 # several packages
npm install --prefix "$directory" --no-audit --no-fund --loglevel=error $node_packages >&2
"$directory/node_modules/.bin/node" --version >/dev/null
python3 -m venv "$directory/venv"
# shellcheck disable=SC2086
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check $python_packages >&2
echo "$node_packages $python_packages" >"$directory/installed"
