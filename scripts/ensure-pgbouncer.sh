#!/bin/sh
# Makes sure that PgBouncer is there, which tests put between Daybook and PostgreSQL. They run it themselves, so no service is started.
set -eu
. "$(dirname "$0")/apt.sh"

if command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ]; then
    exit 0
fi

announce_install PgBouncer pgbouncer
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$sudo rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod 755 "$policy"
fi
apt_install pgbouncer
