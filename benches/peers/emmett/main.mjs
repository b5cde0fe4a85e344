// emmett: appends to streams that must not exist yet, and a consumer that reads them all.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { STREAM_DOES_NOT_EXIST } from '@event-driven-io/emmett';
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import pg from 'pg';

const manifest = new URL('node_modules/@event-driven-io/emmett-postgresql/package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;
const url = `postgresql://${PGUSER}@localhost:${PGPORT}/${PGDATABASE}?host=${encodeURIComponent(PGHOST)}`;

const event = () => ({ type: 'note.created', data: { text: 'x'.repeat(289) } });

const print = (figures) => console.log(JSON.stringify({ peer: 'emmett', version, ...figures }));

async function open(connections) {
  const pool = new pg.Pool({ connectionString: url, max: connections });
  const store = getPostgreSQLEventStore(url, { connectionOptions: { pool } });
  await store.schema.migrate();
  return { store, close: () => store.close().then(() => pool.end()) };
}

async function append(writers) {
  const { store, close } = await open(writers);
  const start = performance.now() + 1000;
  const end = start + 5000;
  const took = [];
  const writer = async () => {
    for (;;) {
      const before = performance.now();
      await store.appendToStream(`bench-${randomUUID()}`, [event()], { expectedStreamVersion: STREAM_DOES_NOT_EXIST });
      const after = performance.now();
      if (after >= end) return;
      if (after >= start) took.push(after - before);
    }
  };
  await Promise.all(Array.from({ length: writers }, writer));
  await close();
  took.sort((a, b) => a - b);
  const at = (share) => took[Math.floor((took.length - 1) * share)];
  print({ writers, appends_per_second: took.length / 5, p50_ms: at(0.5), p99_ms: at(0.99) });
}

async function replay() {
  const { store, close } = await open(2);
  let events = 0;
  const consumer = store.consumer({ pulling: { batchSize: 1000 }, stopWhen: { noMessagesLeft: true } });
  consumer.reactor({ processorId: 'bench', eachMessage: () => { events += 1; } });
  const start = performance.now();
  await consumer.start();
  print({ events, replayed_per_second: events / ((performance.now() - start) / 1000) });
  await consumer.close();
  await close();
}

for (const writers of process.argv.slice(2)) await append(Number(writers));
await replay();
