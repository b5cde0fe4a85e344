"""Python's eventsourcing: its recorder inserts version 1 of new aggregates, from as many threads as there are writers."""

import json
import os
import sys
import time
from importlib.metadata import version
from threading import Thread
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

WARM_UP, MEASURED = 1, 5
STATE = b'{"text":"' + b"x" * 289 + b'"}'
PAGE = 10_000


def report(**figures):
    print(json.dumps({"peer": "eventsourcing", "version": version("eventsourcing"), **figures}), flush=True)


def open_recorder(connections):
    env = os.environ
    datastore = PostgresDatastore(
        env["PGDATABASE"], env["PGHOST"], env["PGPORT"], env["PGUSER"], "", pool_size=connections, connect_timeout=30
    )
    recorder = PostgresApplicationRecorder(datastore)
    recorder.create_table()
    return datastore, recorder


def write(recorder, start, took):
    while True:
        before = time.perf_counter()
        recorder.insert_events([StoredEvent(uuid4(), 1, "note.created", STATE)])
        after = time.perf_counter()
        if after >= start + MEASURED:
            return
        if after >= start:
            took.append(after - before)


def append(writers):
    datastore, recorder = open_recorder(writers)
    start, took = time.perf_counter() + WARM_UP, []
    threads = [Thread(target=write, args=(recorder, start, took)) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    datastore.close()
    took.sort()
    p50, p99 = (took[int((len(took) - 1) * share)] * 1000 for share in (0.5, 0.99))
    report(writers=writers, appends_per_second=len(took) / MEASURED, p50_ms=p50, p99_ms=p99)


def replay():
    datastore, recorder = open_recorder(1)
    start, events, after = time.perf_counter(), 0, None
    while page := recorder.select_notifications(after, PAGE, inclusive_of_start=False):
        for notification in page:
            json.loads(notification.state)
        events += len(page)
        after = page[-1].id
    report(events=events, replayed_per_second=events / (time.perf_counter() - start))
    datastore.close()


for argument in sys.argv[1:]:
    append(int(argument))
replay()
