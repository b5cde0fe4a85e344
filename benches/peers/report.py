"""The tables, on the terminal and in the repository."""

import json
import os
import platform
import re
from datetime import datetime, timezone
from pathlib import Path

BENCHES = Path(__file__).parents[1]
SHOWN = ("fsync", "synchronous_commit", "shared_buffers", "wal_level")


def conditions(postgres):
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "cpu": cpu[1] if cpu else platform.machine(),
        "kernel": platform.release(),
        "postgresql": postgres.query("show server_version"),
        **{name: postgres.query(f"show {name}") for name in SHOWN},
    }


def table(header, alignment, rows):
    lines = [header, alignment, *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def over(daybook, value):
    """How many times as much Daybook does."""
    return f"{daybook / value:.1f}x" if daybook else ""


def appends(rows):
    rows = [row for row in rows if "writers" in row]
    daybook = {row["writers"]: row["ratio"] for row in rows if row["peer"] == "Daybook"}
    rows.sort(key=lambda row: (row["writers"], -row["appends_per_second"]))
    return table(
        ("writers", "peer", "version", "appends/s", "pgbench one-row insert/s", "ratio", "p50 ms", "p99 ms", "Daybook does"),
        ("---:", "---", "---", "---:", "---:", "---:", "---:", "---:", "---:"),
        (
            (
                row["writers"], row["peer"], row["version"], round(row["appends_per_second"]), round(row["limit"]),
                f"{row['ratio']:.2f}", f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}",
                over(daybook.get(row["writers"]), row["ratio"]),
            )
            for row in rows
        ),
    )


def replays(rows):
    rows = [row for row in rows if "replayed_per_second" in row]
    rows.sort(key=lambda row: -row["replayed_per_second"])
    return table(
        ("peer", "version", "events", "events/s"),
        ("---", "---", "---:", "---:"),
        ((row["peer"], row["version"], row.get("events", ""), round(row["replayed_per_second"])) for row in rows),
    )


def commands(rows):
    rows = [row for row in rows if "commands_per_second" in row]
    daybook = next((row["commands_per_second"] for row in rows if row["peer"] == "Daybook"), None)
    return table(
        ("peer", "version", "commands/s", "errors", "p50 ms", "p99 ms", "Daybook does"),
        ("---", "---", "---:", "---:", "---:", "---:", "---:"),
        (
            (
                row["peer"], row["version"], round(row["commands_per_second"]), row.get("errors", ""),
                f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}", over(daybook, row["commands_per_second"]),
            )
            for row in rows
        ),
    )


def text(conditions, rows, failures):
    parts = [
        "# Peers\n",
        f"Measured on {conditions['date']} by `make bench-peers`: what users would pick instead, on the same PostgreSQL and workload. "
        "[How each is driven](../docs/benchmarks-peers.md). Load generator, peer and PostgreSQL share the machine; 5 seconds each "
        "after 1 second of warm-up; the limit is the mean of pgbench's runs before and after each peer.\n",
        table(("condition", "value"), ("---", "---"), conditions.items()),
        "## Appends\n\nOne event of 300 bytes a time, into a new stream, its version checked. The last column compares ratios.\n",
        appends(rows),
        "## Replay\n\nAll that was appended, read in order and parsed.\n",
        replays(rows),
        "## Commands over HTTP\n\n64 connections.\n",
        commands(rows),
    ]
    if failures:
        parts += ["## Not measured\n", table(("peer", "error"), ("---", "---"), failures.items())]
    return "\n".join(parts)


def write(text, results):
    (BENCHES / "PEERS.md").write_text(text)
    (BENCHES / "peers.json").write_text(json.dumps(results, indent=2) + "\n")
