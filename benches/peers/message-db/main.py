"""message-db: pgbench calls its write_message for new streams of one category; psql reads that category."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

MANIFEST = Path(os.environ["INSTALLED"], "node_modules/@eventide/message-db/package.json")
WARM_UP, MEASURED = 1, 5
DATA = json.dumps({"text": "x" * 289}, separators=(",", ":"))
REPLAY = "copy (select data from message_store.get_category_messages('bench', 1, -1)) to stdout"


def report(**figures):
    version = json.loads(MANIFEST.read_text())["version"]
    print(json.dumps({"peer": "message-db", "version": version, **figures}), flush=True)


def pgbench(clients, seconds, *options):
    command = ["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds)]
    command += ["-D", f"data={DATA}", "-f", "write.sql", *options]
    subprocess.run(command, check=True, stdout=subprocess.PIPE)


def append(writers):
    pgbench(writers, WARM_UP)
    with TemporaryDirectory() as directory:
        pgbench(writers, MEASURED, "-l", f"--log-prefix={directory}/log")
        lines = [line for log in Path(directory).iterdir() for line in log.read_text().splitlines()]
    took = sorted(int(line.split()[2]) / 1000 for line in lines)
    p50, p99 = (took[int((len(took) - 1) * share)] for share in (0.5, 0.99))
    report(writers=writers, appends_per_second=len(took) / MEASURED, p50_ms=p50, p99_ms=p99)


def replay():
    start, events = time.perf_counter(), 0
    with subprocess.Popen(["psql", "-qAt", "-c", REPLAY], stdout=subprocess.PIPE) as psql:
        for line in psql.stdout:
            json.loads(line)
            events += 1
    report(events=events, replayed_per_second=events / (time.perf_counter() - start))


for argument in sys.argv[1:]:
    append(int(argument))
replay()
