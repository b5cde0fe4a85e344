"""Runs what users would pick instead of Daybook, and Daybook, on the same PostgreSQL and workload: `make bench-peers`.

Each directory here is a peer: `install` gets it from its registry, `run WRITERS…` measures it and prints lines of JSON.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import report
from postgres import Postgres

HERE = Path(__file__).parent.resolve()
ROOT = HERE.parents[1]
PEERS = (ROOT / os.environ.get("CARGO_TARGET_DIR", "target")).resolve() / "peers"
WRITERS = (1, 16, 64)
LIMIT_SECONDS = {"install": 3600, "run": 900}


class PeerError(Exception):
    pass


def step(peer, name, env, *arguments):
    """Runs a peer's script and returns what it printed."""
    installed = PEERS / peer
    installed.mkdir(parents=True, exist_ok=True)
    env = {**env, "PEERS": str(PEERS), "INSTALLED": str(installed)}
    command = ["setpriv", "--pdeathsig=KILL", HERE / peer / name, *map(str, arguments)]
    try:
        ended = subprocess.run(
            command, env=env, cwd=HERE / peer, capture_output=True, text=True, timeout=LIMIT_SECONDS[name]
        )
    except subprocess.TimeoutExpired:
        raise PeerError(f"{name} took more than {LIMIT_SECONDS[name]} seconds") from None
    if ended.returncode != 0:
        sys.stderr.write(ended.stderr)
        raise PeerError(last_words(ended.stderr) or f"{name} ended with {ended.returncode}")
    return ended.stdout


def last_words(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "rror" in line]
    return (errors or lines or [""])[-1].replace(str(ROOT), ".").replace(str(Path.home()), "~")


def measure(postgres, peer):
    """A peer's figures, in a database of its own, of which nothing is left to the next."""
    database = peer.replace("-", "_")
    postgres.query(f"create database {database}")
    try:
        printed = step(peer, "run", {**postgres.env, "PGDATABASE": database}, *WRITERS)
        return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    finally:
        postgres.query(f"drop database {database} with (force)")
        postgres.query("checkpoint")


def limits(postgres):
    seen = {writers: postgres.inserts_per_second(writers) for writers in WRITERS}
    print("pgbench", {writers: round(rate) for writers, rate in seen.items()}, flush=True)
    return seen


def with_limits(row, before, after):
    """An append's row beside the mean of the limits measured before and after it."""
    if writers := row.get("writers"):
        limit = (before[writers] + after[writers]) / 2
        row |= {"limit": limit, "ratio": row["appends_per_second"] / limit}
    return row


def main():
    wanted = [name for argument in sys.argv[1:] for name in argument.split(",")]
    peers = wanted or sorted(path.parent.name for path in HERE.glob("*/run"))
    rows, failures = [], {}
    for peer in peers:
        print("installing", peer, flush=True)
        try:
            step(peer, "install", os.environ)
        except PeerError as error:
            failures[peer] = str(error)
    with TemporaryDirectory(prefix="daybook-peers-") as directory, Postgres(directory) as postgres:
        conditions = report.conditions(postgres)
        before = limits(postgres)
        for peer in (peer for peer in peers if peer not in failures):
            try:
                seen = measure(postgres, peer)
            except PeerError as error:
                failures[peer] = str(error)
                continue
            after = limits(postgres)
            rows += [with_limits(row, before, after) for row in seen]
            before = after
            print(*map(json.dumps, seen), sep="\n", flush=True)
    text = report.text(conditions, rows, failures)
    print(text)
    if not wanted:
        report.write(text, {"conditions": conditions, "rows": rows, "failures": failures})


main()
