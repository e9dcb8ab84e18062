"""What psycopg 3 does with a server, one line a step. The same program runs directly and through the proxy; the lines must be the same."""
import asyncio
import json
import threading
import time

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb


def say(step, value):
    print(f"{step}: {json.dumps(value, default=str, sort_keys=True)}", flush=True)


def attempt(action):
    try:
        return action()
    except psycopg.Error as error:
        said = error.diag
        if error.sqlstate is None:
            return [type(error).__name__, next((x.split("FATAL")[-1] for x in str(error).splitlines() if "FATAL" in x), str(error).strip().splitlines()[-1])]
        return [type(error).__name__, error.sqlstate, said.severity, said.message_primary, said.message_detail, said.message_hint, said.constraint_name]


def connected(**settings):
    return psycopg.connect("", application_name="exercise", **settings)


def basics(c):
    values = ["ä€", 1.5, [1, None], b"\0\xff", Jsonb({"k": [1]}), None]
    for binary in (False, True):
        cursor = c.cursor(binary=binary)
        cursor.execute("SELECT %s::text, %s::float8, %s::int[], %s::bytea, %s::jsonb, %s::int", values)
        say(f"types {binary}", cursor.fetchone())
        say(f"description {binary}", [(d.name, d.type_code) for d in cursor.description])
    say("several", [r.statusmessage for r in (c.execute("SELECT 1; SELECT 2; SET work_mem = '5MB'"),)])
    say("info", [c.info.encoding, c.info.server_version // 10000, str(c.info.timezone), c.info.transaction_status.name, c.info.parameter_status("application_name")])
    c.rollback()
    say("process", c.execute("SELECT pg_backend_pid()").fetchone()[0] == c.info.backend_pid)
    say("rows", c.cursor(row_factory=dict_row).execute("SELECT 1 AS a, 2 AS b").fetchall())
    c.commit()


def prepared(c):
    for i in range(8):
        c.execute("SELECT %s::int + 1", [i]).fetchone()
    say("prepared", c.execute("SELECT %s::int + 1", [41], prepare=True).fetchone())
    c.execute("DROP TABLE IF EXISTS p3_t")
    c.execute("CREATE TABLE p3_t (id serial PRIMARY KEY, v text UNIQUE)")
    c.execute("SELECT * FROM p3_t", prepare=True)
    c.commit()
    other = connected(autocommit=True)
    other.execute("ALTER TABLE p3_t ADD COLUMN w int")
    say("seen by others", [d.name for d in other.execute("SELECT * FROM p3_t", prepare=True).description])
    other.close()
    c.execute("DEALLOCATE ALL")
    c.commit()


def transactions(c):
    with c.transaction():
        c.execute("INSERT INTO p3_t (v) VALUES ('a')")

        def inner():
            with c.transaction():
                c.execute("INSERT INTO p3_t (v) VALUES ('a')")

        say("duplicate", attempt(inner))
        say("still there", c.execute("SELECT v FROM p3_t").fetchall())
    c.execute("SELECT 1")
    say("failed", attempt(lambda: c.execute("SELECT 1/0")))
    say("aborted", attempt(lambda: c.execute("SELECT 1")))
    c.rollback()
    with c.cursor() as cursor:
        cursor.executemany("INSERT INTO p3_t (v) VALUES (%s) RETURNING v", [(f"m{i}",) for i in range(300)], returning=True)
        count = 1
        while cursor.nextset():
            count += 1
        say("many", [count, cursor.rowcount])
    c.commit()


def copies(c):
    with c.cursor() as cursor:
        with cursor.copy("COPY p3_t (v, w) FROM STDIN") as copy:
            for i in range(5000):
                copy.write_row((f"c{i}", i))
        with cursor.copy("COPY p3_t (v, w) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["text", "int4"])
            for i in range(5000):
                copy.write_row((f"b{i}", i))
        with cursor.copy("COPY (SELECT v, w FROM p3_t WHERE w < 2 ORDER BY v) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["text", "int4"])
            say("copied", list(copy.rows()))

        def broken():
            with cursor.copy("COPY p3_t (w) FROM STDIN") as copy:
                copy.write("x\n")

        say("bad copy", attempt(broken))
    c.rollback()
    with c.cursor() as cursor:
        def given_up():
            with cursor.copy("COPY p3_t (w) FROM STDIN"):
                raise ValueError("no more")
        try:
            given_up()
        except Exception as error:
            say("given up", type(error).__name__)
    say("state", c.info.transaction_status.name)
    c.rollback()


def cursors(c):
    with c.cursor(name="named") as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT generate_series(1, 50)")
        say("named cursor", sum(r[0] for r in cursor))
    with c.cursor(name="scrolling", scrollable=True, withhold=True) as cursor:
        cursor.execute("SELECT generate_series(1, 50)")
        c.commit()
        cursor.scroll(10)
        say("held", cursor.fetchmany(2))
    say("streamed", sum(r[0] for r in c.cursor().stream("SELECT generate_series(1, 50)")))
    c.commit()


def pipelines(c):
    with c.pipeline() as pipeline:
        c.execute("INSERT INTO p3_t (v) VALUES (%s)", ["p1"])
        first = c.execute("SELECT count(*) FROM p3_t WHERE v LIKE 'p%%'")
        c.execute("INSERT INTO p3_t (v) VALUES (%s)", ["p2"])
        pipeline.sync()
        say("pipeline", first.fetchone())
        second = c.execute("SELECT count(*) FROM p3_t WHERE v LIKE 'p%%'")
        say("pipeline goes on", second.fetchone())
    c.commit()

    def failing():
        with c.pipeline():
            c.execute("INSERT INTO p3_t (v) VALUES ('q')")
            c.execute("SELECT 1/0")
            c.execute("INSERT INTO p3_t (v) VALUES ('r')")

    say("failing pipeline", attempt(failing))
    c.rollback()
    say("undone", c.execute("SELECT v FROM p3_t WHERE v IN ('q', 'r')").fetchall())
    c.commit()


def notices(c):
    seen = []
    c.add_notice_handler(lambda d: seen.append([d.severity, d.sqlstate, d.message_primary]))
    c.execute("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
    c.execute("DROP TABLE IF EXISTS nowhere")
    say("notices", seen)
    c.commit()


def notifications(c):
    listener = connected(autocommit=True)
    listener.execute("LISTEN p3_c")
    c.execute("SELECT pg_notify('p3_c', 'payload')")
    c.commit()
    said = next(listener.notifies())
    say("notification", [said.channel, said.payload, said.pid == c.info.backend_pid])
    listener.close()


def two_phases(c):
    c.tpc_begin(c.xid(1, "exercise3", "branch"))
    c.execute("INSERT INTO p3_t (v) VALUES ('two-phase')")
    c.tpc_prepare()
    other = connected()
    say("recovered", [x.gtrid for x in other.tpc_recover() if x.gtrid == "exercise3"])
    other.close()
    c.tpc_rollback()
    say("two-phase", c.execute("SELECT v FROM p3_t WHERE v = 'two-phase'").fetchall())
    c.rollback()


def asleep(pid):
    watcher = connected(autocommit=True)
    while not watcher.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'", [pid]).fetchall():
        time.sleep(0.01)
    return watcher


def endings(c):
    cancelling = threading.Thread(target=lambda: (asleep(c.info.backend_pid).close(), c.cancel()))
    cancelling.start()
    say("cancelled", attempt(lambda: c.execute("SELECT pg_sleep(30)")))
    cancelling.join()
    c.rollback()
    doomed = connected()
    killer = connected(autocommit=True)
    doomed.execute("SELECT 1")
    killer.execute("SELECT pg_terminate_backend(%s, 5000)", [doomed.info.backend_pid])
    say("terminated", attempt(lambda: doomed.execute("SELECT 1")))
    say("closed", [doomed.closed, doomed.broken])
    own = connected()
    say("own end", attempt(lambda: own.execute("SELECT pg_terminate_backend(%s)", [own.info.backend_pid])))
    say("wrong password", attempt(lambda: connected(password="wrong"))[1])
    say("no database", attempt(lambda: connected(dbname="nosuchdatabase"))[1])
    slow = connected(options="-c statement_timeout=50")
    say("time-out", attempt(lambda: slow.execute("SELECT pg_sleep(30)")))


async def waiting():
    async with await psycopg.AsyncConnection.connect("") as c:
        say("asynchronous", await (await c.execute("SELECT %s::int + 1", [41])).fetchall())


def keyed(c):
    for binary in (False, True):
        say(f"by key {binary}", c.execute("SELECT owner, amount FROM accounts WHERE id = %s::bigint", [7], binary=binary).fetchall())
    for i in (21, 22, 23):
        c.execute("UPDATE accounts SET amount = amount + 1 WHERE id = %s::bigint", [i])
    c.commit()
    say("sums", c.execute("SELECT count(*), sum(amount) FROM accounts").fetchall())
    say("key twice", attempt(lambda: c.execute("INSERT INTO accounts VALUES (7, 'x', 1)")))
    c.rollback()


connection = connected()
for part in (basics, prepared, transactions, copies, cursors, pipelines, notices, notifications, two_phases, keyed, endings):
    part(connection)
asyncio.run(waiting())
connection.close()
