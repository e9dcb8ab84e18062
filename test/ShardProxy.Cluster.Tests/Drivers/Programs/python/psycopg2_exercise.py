"""What psycopg 2 does with a server, one line a step. The same program runs directly and through the proxy; the lines must be the same."""
import io
import json
import select
import threading
import time

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from psycopg2 import errors, sql


def say(step, value):
    print(f"{step}: {json.dumps(value, default=str, sort_keys=True)}", flush=True)


def failure(error):
    said = error.diag
    return [type(error).__name__, error.pgcode, said.severity, said.message_primary, said.message_detail, said.message_hint, said.constraint_name, said.table_name]


def attempt(action):
    try:
        return action()
    except psycopg2.Error as error:
        return failure(error) if error.pgcode else [type(error).__name__, next((x.split("FATAL")[-1] for x in str(error).splitlines() if "FATAL" in x), str(error).strip().splitlines()[-1])]


def rows(connection, text, values=None):
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchall() if cursor.description else cursor.statusmessage


def connected(**settings):
    return psycopg2.connect("", application_name="exercise", **settings)


def basics(c):
    say("types", rows(c, "SELECT %s::text, %s, %s::numeric, %s::int[], %s::bytea, %s::date", ["ä€", True, "1.50", [1, None], b"\0\xff", "2001-02-03"])[0][:4])
    say("encoding", [c.encoding, c.server_version // 10000, c.get_parameter_status("standard_conforming_strings"), c.get_parameter_status("TimeZone")])
    say("status", [c.status, c.get_transaction_status(), c.autocommit, c.closed])
    c.rollback()
    say("after rollback", c.get_transaction_status())
    say("application_name", rows(c, "SHOW application_name"))
    say("process", rows(c, "SELECT pg_backend_pid()")[0][0] == c.info.backend_pid)
    with c.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        cursor.execute("SELECT 1 AS a, '{\"k\": [1]}'::jsonb AS j")
        say("dictionary", cursor.fetchall())
        say("description", [(d.name, d.type_code) for d in cursor.description])
    c.commit()


def tables(c):
    rows(c, "DROP TABLE IF EXISTS p2_t")
    c.commit()
    say("create", rows(c, "CREATE TABLE p2_t (id serial PRIMARY KEY, v text UNIQUE)"))
    with c.cursor() as cursor:
        psycopg2.extras.execute_values(cursor, "INSERT INTO p2_t (v) VALUES %s", [(f"v{i}",) for i in range(250)], page_size=100)
        cursor.executemany("INSERT INTO p2_t (v) VALUES (%s)", [("x",), ("y",)])
        psycopg2.extras.execute_batch(cursor, "UPDATE p2_t SET v = %s WHERE id = %s", [(f"w{i}", i) for i in range(1, 20)])
        say("counted", cursor.rowcount)
    say("duplicate", attempt(lambda: rows(c, "INSERT INTO p2_t (v) VALUES ('x')")))
    say("aborted", attempt(lambda: rows(c, "SELECT 1")))
    c.rollback()
    say("gone", attempt(lambda: rows(c, "SELECT * FROM p2_t")))
    c.rollback()
    rows(c, "CREATE TABLE p2_t (id serial PRIMARY KEY, v text UNIQUE)")
    c.commit()
    with c:
        with c.cursor() as cursor:
            cursor.execute("SAVEPOINT s")
            say("bad cast", attempt(lambda: cursor.execute("SELECT 'x'::int")))
            cursor.execute("ROLLBACK TO SAVEPOINT s")
            cursor.execute(sql.SQL("INSERT INTO {} (v) VALUES (%s) RETURNING id").format(sql.Identifier("p2_t")), ["a"])
            say("returned", cursor.fetchone())


def copies(c):
    with c.cursor() as cursor:
        cursor.copy_expert("COPY p2_t (v) FROM STDIN WITH (FORMAT csv)", io.StringIO("".join(f"c{i}\n" for i in range(20000))))
        say("copied", cursor.rowcount)
        out = io.StringIO()
        cursor.copy_expert("COPY (SELECT v FROM p2_t ORDER BY id LIMIT 3) TO STDOUT", out)
        say("copy out", out.getvalue())
        say("bad copy", attempt(lambda: cursor.copy_expert("COPY p2_t (id) FROM STDIN", io.StringIO("x\n"))))
    c.rollback()


def cursors(c):
    with c.cursor(name="named") as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT generate_series(1, 50)")
        say("named cursor", sum(r[0] for r in cursor))
    with c.cursor(name="scrolling", scrollable=True) as cursor:
        cursor.execute("SELECT generate_series(1, 50)")
        cursor.scroll(10)
        say("scrolled", [cursor.fetchone(), cursor.scroll(-5), cursor.fetchmany(2)])
    c.commit()
    held = c.cursor(name="held", withhold=True)
    held.execute("SELECT generate_series(1, 50)")
    c.commit()
    say("held", held.fetchmany(3))
    held.close()
    c.commit()


def large_objects(c):
    lobject = c.lobject()
    lobject.write(b"x" * 100000)
    lobject.seek(10)
    say("large object", [lobject.tell(), len(lobject.read(50)), len(lobject.read())])
    lobject.truncate(5)
    lobject.seek(0)
    say("truncated", lobject.read())
    oid = lobject.oid
    lobject.close()
    c.commit()
    say("again", len(c.lobject(oid).read()))
    c.lobject(oid).unlink()
    c.commit()


def notices(c):
    del c.notices[:]
    rows(c, "DO $$ BEGIN RAISE NOTICE 'hello'; END $$; DROP TABLE IF EXISTS nowhere")
    say("notices", c.notices)
    c.commit()


def notifications(c):
    listener = connected()
    listener.autocommit = True
    rows(listener, "LISTEN p2_c")
    rows(c, "NOTIFY p2_c, 'payload'")
    c.commit()
    while not listener.notifies:
        select.select([listener], [], [], 10)
        listener.poll()
    said = listener.notifies.pop()
    say("notification", [said.channel, said.payload, said.pid == c.info.backend_pid])
    listener.close()


def two_phases(c):
    xid = c.xid(1, "exercise", "branch")
    c.tpc_begin(xid)
    rows(c, "INSERT INTO p2_t (v) VALUES ('two-phase')")
    c.tpc_prepare()
    other = connected()
    say("recovered", [x.gtrid for x in other.tpc_recover() if x.gtrid == "exercise"])
    other.close()
    c.tpc_commit()
    say("two-phase", rows(c, "SELECT v FROM p2_t WHERE v = 'two-phase'"))
    c.rollback()


def sessions(c):
    c.set_session(isolation_level="SERIALIZABLE", readonly=True)
    say("read only", [rows(c, "SHOW transaction_isolation"), attempt(lambda: rows(c, "DELETE FROM p2_t"))])
    c.rollback()
    c.set_session(isolation_level="DEFAULT", readonly="DEFAULT")
    c.set_client_encoding("LATIN1")
    say("latin", [c.encoding, rows(c, "SELECT chr(228)")])
    c.set_client_encoding("UTF8")
    rows(c, "SET TIME ZONE 'Europe/Berlin'; SET datestyle = 'German'")
    say("settings", [c.get_parameter_status("TimeZone"), c.get_parameter_status("DateStyle"), rows(c, "SELECT '2001-02-03'::date::text")])
    c.reset()
    say("reset", [c.get_parameter_status("TimeZone"), c.get_parameter_status("DateStyle")])


def asleep(pid):
    watcher = connected()
    watcher.autocommit = True
    while not rows(watcher, "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'", [pid]):
        time.sleep(0.01)
    return watcher


def endings(c):
    cancelling = threading.Thread(target=lambda: (asleep(c.info.backend_pid).close(), c.cancel()))
    cancelling.start()
    say("cancelled", attempt(lambda: rows(c, "SELECT pg_sleep(30)")))
    cancelling.join()
    c.rollback()
    doomed = connected()
    killing = threading.Thread(target=lambda: rows(asleep(doomed.info.backend_pid), "SELECT pg_terminate_backend(%s)", [doomed.info.backend_pid]))
    killing.start()
    say("terminated", attempt(lambda: rows(doomed, "SELECT pg_sleep(30)")))
    killing.join()
    say("closed", [doomed.closed, attempt(lambda: rows(doomed, "SELECT 1"))])
    own = connected()
    say("own end", attempt(lambda: rows(own, "SELECT pg_terminate_backend(pg_backend_pid())")))
    say("wrong password", attempt(lambda: connected(password="wrong"))[1])
    say("no database", attempt(lambda: connected(dbname="nosuchdatabase"))[1])
    slow = connected(options="-c statement_timeout=50")
    say("time-out", attempt(lambda: rows(slow, "SELECT pg_sleep(30)")))


def waiting():
    c = psycopg2.connect("", async_=1)
    wait = psycopg2.extras.wait_select
    wait(c)
    cursor = c.cursor()
    cursor.execute("SELECT %s + 1", [41])
    wait(c)
    say("asynchronous", cursor.fetchall())
    c.close()


def keyed(c):
    say("by key", rows(c, "SELECT owner, amount FROM accounts WHERE id = %s", [7]))
    for i in (11, 12, 13):
        rows(c, "UPDATE accounts SET amount = amount + 1 WHERE id = %s", [i])
    c.commit()
    say("sums", rows(c, "SELECT count(*), sum(amount) FROM accounts"))
    say("key twice", attempt(lambda: rows(c, "INSERT INTO accounts VALUES (7, 'x', 1)")))
    c.rollback()


connection = connected()
for part in (basics, tables, copies, cursors, large_objects, notices, notifications, two_phases, sessions, keyed, endings):
    part(connection)
waiting()
connection.close()
