#!/usr/bin/env bash
# Runs the demonstration against DAYBOOK_SERVER, or a server of its own that is gone afterwards: demo.sh BINARY DIR
set -euo pipefail
daybook=$1
documents=$2

if [[ -n ${DAYBOOK_SERVER:-} || -n ${DAYBOOK_KEY:-} ]]; then
    : "${DAYBOOK_SERVER:?is not set, and DAYBOOK_KEY is}" "${DAYBOOK_KEY:?is not set, and DAYBOOK_SERVER is}"
    exec "$daybook" demo "$documents" --server "$DAYBOOK_SERVER" --key "$DAYBOOK_KEY"
fi

data=$(mktemp -d)
chmod 755 "$data" # PostgreSQL's account must get through if this runs as root.
log=$data/server.log
server=

finish() {
    if [[ -n $server ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" || true
    fi
    rm -rf "$data"
}
trap finish EXIT

fail() {
    echo "$1 The server's log ends:" >&2
    tail -n 20 "$log" >&2
    exit 1
}

# Waits up to a minute until the command succeeds, as long as the server lives.
await() {
    for _ in {1..600}; do
        if "$@"; then
            return
        fi
        kill -0 "$server" 2>/dev/null || fail "The server has ended."
        sleep 0.1
    done
    fail "The server does not get ready."
}

port_is_taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

port=$((20000 + RANDOM % 10000))
while port_is_taken "$port"; do
    port=$((port + 1))
done
url=http://127.0.0.1:$port

# The receiver of the demonstration's webhooks is on this machine.
env -u DATABASE_URL -u DAYBOOK_OPERATOR_KEY_FILE DAYBOOK_WEBHOOKS_ALLOW_PRIVATE=true \
    "$daybook" serve --listen "127.0.0.1:$port" --data-dir "$data" >"$log" 2>&1 &
server=$!

healthy() {
    "$daybook" health --server "$url" >/dev/null 2>&1
}
wrote_its_key() {
    key=$(cat "$data/operator.key" 2>/dev/null)
}
await healthy
await wrote_its_key
"$daybook" demo "$documents" --server "$url" --key "$key"
