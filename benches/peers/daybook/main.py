"""Daybook: the same rows of `make bench`, which starts a PostgreSQL with the same settings for itself."""

import json
import subprocess
import sys


def rows(names):
    command = ["cargo", "bench", "--quiet", "--profile", "serve", "--bench", "daybook", "--", ",".join(names)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = [line for line in output[output.index("| name |"):].splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    header, _, *cells = table
    return {row["name"]: row for row in (dict(zip(header, values)) for values in cells)}


def report(row, **figures):
    latency = {name: float(row[f"{name[:3]} ms"]) for name in ("p50_ms", "p99_ms")}
    print(json.dumps({"peer": "Daybook", "version": commit, **figures, **latency}))


commit = subprocess.run(["git", "describe", "--always"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
writers = [int(argument) for argument in sys.argv[1:]]
seen = rows([f"append_{number}" for number in writers] + ["replay", "http_command_64"])
for number in writers:
    row = seen[f"append_{number}"]
    report(row, writers=number, appends_per_second=float(row["value"]))
if row := seen.get("replay"):
    print(json.dumps({"peer": "Daybook", "version": commit, "replayed_per_second": float(row["value"])}))
if row := seen.get("http_command_64"):
    report(row, connections=64, commands_per_second=float(row["value"]))
