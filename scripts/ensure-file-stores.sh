#!/bin/sh
# Makes sure that the stores of files are there that tests hold Daybook against: an S3 (moto) and an Azure Blob Storage (Azurite).
set -eu
. "$(dirname "$0")/apt.sh"

moto=5.2.5
azurite=3.35.0
home=${CARGO_TARGET_DIR:-$(dirname "$0")/../target}/file-stores
mkdir -p "$home"

if [ "$(cat "$home/moto" 2>/dev/null)" != $moto ]; then
    if ! python3 -c 'import ensurepip' 2>/dev/null; then
        announce_install "Python's venv" python3-venv
        apt_install python3-venv
    fi
    echo "Installing moto $moto, an S3 for tests, in $home." >&2
    rm -rf "$home/venv"
    python3 -m venv "$home/venv"
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check "moto[server,s3]==$moto"
    echo $moto >"$home/moto"
fi

if [ "$(cat "$home/azurite" 2>/dev/null)" != $azurite ]; then
    if ! command -v npm >/dev/null; then
        announce_install npm npm
        apt_install npm
    fi
    echo "Installing Azurite $azurite, an Azure Blob Storage for tests, in $home." >&2
    npm install --silent --no-audit --no-fund --prefix "$home" "azurite@$azurite"
    echo $azurite >"$home/azurite"
fi
