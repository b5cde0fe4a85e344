#!/bin/sh
# Makes sure that PostgreSQL's programs are where Daybook looks for them. It runs them itself, so no service is set up.
set -eu
. "$(dirname "$0")/apt.sh"

for directory in "${DAYBOOK_POSTGRES_BIN:-}" /usr/lib/postgresql/*/bin; do
    if [ -x "$directory/postgres" ] && [ -x "$directory/initdb" ]; then
        exit 0
    fi
done
if command -v postgres >/dev/null && command -v initdb >/dev/null; then
    exit 0
fi

announce_install PostgreSQL postgresql
# Debian's package would create and start a cluster of its own. Other PostgreSQL packages installed later shall still do so.
settings=/etc/postgresql-common/createcluster.d
trap '$sudo rm -f "$settings/daybook.conf"' EXIT
$sudo mkdir -p "$settings"
echo "create_main_cluster = false" | $sudo tee "$settings/daybook.conf" >/dev/null
apt_install postgresql
