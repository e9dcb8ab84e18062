// What node-postgres does with a server, one line a step. The same program runs directly and through the proxy; the lines must be the same.
'use strict';
const { Client, Pool, types } = require('pg');
const Cursor = require('pg-cursor');

const say = (step, value) => console.log(`${step}: ${JSON.stringify(value)}`);
const failure = (e) => ({ code: e.code, severity: e.severity, message: e.message, detail: e.detail, hint: e.hint, position: e.position });
const attempt = (promise) => promise.then((r) => r.rows ?? r, failure);

async function connected(settings) {
  const client = new Client({ application_name: 'exercise', ...settings });
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function basics(client) {
  say('numbers', (await client.query('SELECT 1::int AS i, 2::bigint AS b, 1.5::numeric AS n, 0.1::float8 AS f')).rows);
  say('parameters', (await client.query('SELECT $1::text AS t, $2::int[] AS a, $3::jsonb AS j, $4::timestamptz AS d, $5::bytea AS x',
    ['ä€𝄞', [1, 2, null], { k: [1] }, new Date(0), Buffer.from([0, 255])])).rows);
  say('array mode', (await client.query({ text: 'SELECT 1, 2 UNION ALL SELECT 3, 4 ORDER BY 1', rowMode: 'array' })).rows);
  say('fields', (await client.query('SELECT 1 AS a, now() AS b WHERE false')).fields.map((f) => [f.name, f.dataTypeID, f.format]));
  say('several', (await client.query('SELECT 1 AS a; SELECT 2 AS b, 3 AS c; SELECT 4 WHERE false')).map((r) => [r.command, r.rowCount, r.rows]));
  say('empty', (await client.query('')).command ?? null);
  say('application_name', (await client.query('SHOW application_name')).rows);
  say('binary', (await client.query({ text: 'SELECT $1::int AS a, $2::bool AS b', values: [7, true], binary: true })).rows);
  say('large', (await client.query('SELECT length($1::text), repeat($2, 100000) AS r', ['x'.repeat(300000), 'y'])).rows.map((r) => [r.length, r.r.length]));
}

async function prepared(client) {
  for (const id of [1, 2, 3]) {
    say(`named ${id}`, (await client.query({ name: 'by-id', text: 'SELECT $1::int * 10 AS v', values: [id] })).rows);
  }
  say('named again', await attempt(client.query({ name: 'by-id', text: 'SELECT 1', values: [] })));
  say('bad named', await attempt(client.query({ name: 'bad', text: 'SELECT nothing', values: [] })));
  say('bad value', await attempt(client.query('SELECT $1::int', ['x'])));
  say('too few', await attempt(client.query('SELECT $1::int, $2::int', [1])));
  await client.query('DROP TABLE IF EXISTS node_t');
  await client.query('CREATE TABLE node_t (id serial PRIMARY KEY, v text UNIQUE)');
  say('before', (await client.query({ name: 'all', text: 'SELECT * FROM node_t ORDER BY 1' })).fields.map((f) => f.name));
  await client.query('ALTER TABLE node_t ADD COLUMN w int');
  const other = await connected();
  say('after', (await other.query({ name: 'all', text: 'SELECT * FROM node_t ORDER BY 1' })).fields.map((f) => f.name));
  await other.end();
}

async function transactions(client) {
  await client.query('BEGIN');
  say('insert', (await client.query("INSERT INTO node_t (v) VALUES ('a'), ('b') RETURNING id, v")).rows);
  await client.query('SAVEPOINT s');
  say('duplicate', await attempt(client.query("INSERT INTO node_t (v) VALUES ('a')")));
  say('aborted', await attempt(client.query('SELECT 1')));
  await client.query('ROLLBACK TO SAVEPOINT s');
  say('count', (await client.query('SELECT count(*) FROM node_t')).rows);
  say('commit', (await client.query('COMMIT')).command);
  say('failed', [await attempt(client.query('BEGIN')), await attempt(client.query('SELECT 1/0')), (await client.query('COMMIT')).command]);
}

async function cursors(client) {
  const cursor = client.query(new Cursor('SELECT generate_series(1, $1::int) AS n', [250]));
  let rows = 0;
  for (let part = await cursor.read(100); part.length > 0; part = await cursor.read(100)) {
    rows += part.length;
  }
  await cursor.close();
  say('cursor', rows);
  const failing = client.query(new Cursor('SELECT 10 / (3 - n) FROM generate_series(1, 5) n'));
  say('failing cursor', await attempt(failing.read(100)));
  say('after it', (await client.query('SELECT 1 AS ok')).rows);
}

async function notices(client) {
  const seen = [];
  client.on('notice', (n) => seen.push([n.severity, n.code, n.message]));
  await client.query("DO $$ BEGIN RAISE NOTICE 'hello %', 1; RAISE WARNING 'mind'; END $$");
  await client.query('DROP TABLE IF EXISTS nowhere');
  say('notices', seen);
  client.removeAllListeners('notice');
}

async function notifications(client) {
  const listener = await connected();
  const seen = new Promise((resolve) => listener.on('notification', (n) => resolve([n.channel, n.payload, n.processId === client.processID])));
  await listener.query('LISTEN node_c');
  await client.query("SELECT pg_notify('node_c', 'payload')");
  say('notification', await seen);
  await listener.end();
}

async function endings(client) {
  say('own process', (await client.query('SELECT pg_backend_pid() = $1::int AS same', [client.processID])).rows);
  const slow = attempt(client.query('SELECT pg_sleep(30)'));
  const killer = await connected();
  const isAsleep = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
  while ((await killer.query(isAsleep, [client.processID])).rows[0].n === 0) { /* until it sleeps */ }
  await killer.query('SELECT pg_cancel_backend($1)', [client.processID]);
  say('cancelled', await slow);
  const doomed = await connected();
  const end = new Promise((resolve) => doomed.once('error', (e) => resolve(e.message)));
  const last = attempt(doomed.query('SELECT pg_sleep(30)'));
  while ((await killer.query(isAsleep, [doomed.processID])).rows[0].n === 0) { /* until it sleeps */ }
  await killer.query('SELECT pg_terminate_backend($1)', [doomed.processID]);
  say('terminated', await last);
  say('ended', await end);
  await killer.end();
}

async function refusals() {
  say('wrong password', await attempt(connected({ password: 'wrong' })).then((e) => [e.code, e.severity]));
  say('no database', await attempt(connected({ database: 'nosuchdatabase' })).then((e) => [e.code, e.severity, e.message]));
  say('bad option', await attempt(connected({ options: '-c nothing_such=1' })).then((e) => [e.code, e.severity, e.message]));
  const own = await connected({ options: '-c work_mem=5MB -c search_path=pg_catalog', statement_timeout: 100 });
  say('options', [(await own.query('SHOW work_mem')).rows, (await own.query('SHOW search_path')).rows]);
  say('time-out', await attempt(own.query('SELECT pg_sleep(30)')));
  await own.end();
}

async function pooled() {
  const pool = new Pool({ max: 4 });
  const sums = await Promise.all(Array.from({ length: 40 }, (_, i) => pool.query('SELECT $1::int + 1 AS n', [i])));
  say('pool', sums.map((r) => r.rows[0].n));
  const client = await pool.connect();
  await client.query('SET search_path = pg_catalog');
  client.release();
  await pool.end();
}

async function keyed(client) {
  say('by key', (await client.query('SELECT owner, amount FROM accounts WHERE id = $1', [7])).rows);
  say('named by key', await Promise.all([1, 2, 3, 4].map((id) => client.query({ name: 'key', text: 'SELECT id FROM accounts WHERE id = $1', values: [id] }).then((r) => r.rows))));
  await client.query('BEGIN');
  for (const id of [1, 2, 3]) {
    await client.query('UPDATE accounts SET amount = amount + 1 WHERE id = $1', [id]);
  }
  await client.query('COMMIT');
  say('sum', (await client.query('SELECT count(*), sum(amount) FROM accounts')).rows);
  say('duplicate key', await attempt(client.query("INSERT INTO accounts VALUES (7, 'x', 1)")));
}

async function main() {
  types.setTypeParser(20, (v) => BigInt(v).toString());
  const client = await connected();
  for (const step of [basics, prepared, transactions, cursors, notices, notifications, keyed, endings, refusals, pooled]) {
    await step(client);
  }
  await client.end();
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
