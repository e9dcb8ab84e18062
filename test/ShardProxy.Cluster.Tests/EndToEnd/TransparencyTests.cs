using Npgsql;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects transparency: whatever works on one PostgreSQL server works on unsharded tables through the proxy, and PostgreSQL's own
// programs give the same output either way.
[TestFixture]
internal sealed class TransparencyTests
{
    private const string Schema =
        """
        CREATE TYPE mood AS ENUM ('good', 'bad');
        CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL, born date, mood mood DEFAULT 'good', tags text[]);
        CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY, who int REFERENCES people, at timestamptz, CHECK (at > '2000-01-01'));
        CREATE INDEX visits_at ON visits (at);
        CREATE VIEW visitors AS SELECT name, count(*) AS n FROM people JOIN visits ON who = people.id GROUP BY name;
        CREATE FUNCTION double(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
        CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := NEW.name || '!'; RETURN NEW; END $$;
        CREATE TRIGGER stamp BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION stamp();
        COMMENT ON TABLE people IS 'who; and "what"';
        INSERT INTO people (name, born, tags) SELECT 'p' || i, date '1990-01-01' + i, ARRAY['a', NULL, 'c d'] FROM generate_series(1, 50) i;
        INSERT INTO visits (who, at) SELECT 1 + i % 50, timestamptz '2024-01-01 00:00Z' + i * interval '1 hour' FROM generate_series(1, 200) i;
        SELECT lo_from_bytea(4711, '\xdeadbeef');
        """;

    private ProxyProcess _proxy = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _proxy = await ProxyProcess.StartAsync(new ProxyProcessOptions { Nodes = 2 });
        (await PostgresProgram.PsqlScriptAsync(_proxy.ConnectionString(), Schema, CancellationToken.None)).Succeeded();
    }

    [OneTimeTearDown]
    public async Task StopAsync() => await _proxy.DisposeAsync();

    [TestCase(@"\d")]
    [TestCase(@"\d people")]
    [TestCase(@"\d+ visits")]
    [TestCase(@"\d+ visitors")]
    [TestCase(@"\dt+")]
    [TestCase(@"\l")]
    [TestCase(@"\df")]
    [TestCase(@"\dT+")]
    [TestCase(@"\du")]
    [TestCase(@"\dn+")]
    [TestCase(@"\di")]
    [TestCase(@"\lo_list")]
    [TestCase(@"\sf stamp")]
    [TestCase(@"\conninfo")]
    [CancelAfter(30_000)]
    public async Task A_backslash_command_shows_what_it_shows_directly(string command, CancellationToken cancellationToken)
    {
        var through = (await PostgresProgram.PsqlAsync(_proxy.ConnectionString(), cancellationToken, "-c", command)).Succeeded();
        var direct = (await PostgresProgram.PsqlAsync(_proxy.NodeConnectionString("node1"), cancellationToken, "-c", command)).Succeeded();
        Assert.That(through.Replace($"\"{_proxy.Address("proxy").Port}\"", $"\"{_proxy.Address("node1").Port}\"", StringComparison.Ordinal), Is.EqualTo(direct).And.Not.Empty);
    }

    [TestCase]
    [TestCase("--inserts", "--rows-per-insert=7")]
    [TestCase("-Fc", "-Z0")]
    [CancelAfter(60_000)]
    public async Task A_dump_is_the_same_as_a_direct_one(params string[] arguments)
    {
        // Only what the test made: the proxy's own schemas change by themselves.
        string[] all = ["-N", "shardproxy", "-N", "shardproxy_catalog", "-b", .. arguments];
        var through = (await PostgresProgram.PgDumpAsync(_proxy.ConnectionString(), CancellationToken.None, all)).Succeeded();
        var direct = (await PostgresProgram.PgDumpAsync(_proxy.NodeConnectionString("node1"), CancellationToken.None, all)).Succeeded();
        if (arguments is ["-Fc", ..])
        {
            // The archive has the time of the dump in its header.
            Assert.That(through, Has.Length.GreaterThan(5_000).And.Length.EqualTo(direct.Length));
            return;
        }

        // A random word on a line of its own guards a plain dump.
        static string Normal(string dump) => string.Join('\n', dump.Split('\n').Where(l => !l.Contains("restrict ", StringComparison.Ordinal)));
        Assert.That(Normal(through), Is.EqualTo(Normal(direct)));
        Assert.That(through, Does.Contain("people").And.Contain("p50!"));
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_session_of_psql_runs_as_on_one_server(CancellationToken cancellationToken)
    {
        const string script =
            """
            CREATE TABLE copied (id int, v text);
            \copy copied FROM stdin
            1	one
            2	\N
            3	t\\ab
            \.
            \copy (SELECT * FROM copied ORDER BY id) TO stdout WITH (FORMAT csv, NULL 'null')
            BEGIN;
            DECLARE c SCROLL CURSOR FOR SELECT id FROM people ORDER BY id;
            FETCH 2 FROM c;
            MOVE FORWARD 10 FROM c;
            FETCH BACKWARD 1 FROM c;
            SAVEPOINT s;
            INSERT INTO copied VALUES (4, 'four');
            ROLLBACK TO s;
            COMMIT;
            SELECT count(*) FROM copied;
            CREATE TEMP TABLE mine AS SELECT generate_series(1, 5) AS x;
            SELECT sum(x) FROM mine;
            PREPARE p (int) AS SELECT name FROM people WHERE id = $1;
            EXECUTE p (3);
            DEALLOCATE p;
            SET search_path = pg_catalog, public;
            SHOW search_path;
            SET statement_timeout = '1234ms';
            SHOW statement_timeout;
            RESET ALL;
            LISTEN news;
            NOTIFY news, 'hello';
            SELECT encode(lo_get(4711), 'hex');
            DO $$ BEGIN RAISE NOTICE 'noticed'; END $$;
            EXPLAIN (COSTS off) SELECT * FROM people WHERE id = 3;
            VALUES (1, 'x'), (2, NULL);
            SELECT * FROM visitors ORDER BY n DESC, name LIMIT 2;
            UPDATE people SET mood = 'bad' WHERE id < 3 RETURNING id, mood;
            WITH gone AS (DELETE FROM copied RETURNING *) SELECT count(*) FROM gone;
            SELECT double(21) \gset x_
            \echo :x_double
            SELECT pg_advisory_lock(5), pg_advisory_unlock(5);
            DROP TABLE copied;
            SELECT 1/0;
            """;
        var through = await PostgresProgram.PsqlScriptAsync(_proxy.ConnectionString(), script, cancellationToken);
        var direct = await PostgresProgram.PsqlScriptAsync(_proxy.NodeConnectionString("node1"), script, cancellationToken);
        static string Normal(string text) => System.Text.RegularExpressions.Regex.Replace(text, "PID [0-9]+", "PID n");
        Assert.That(Normal(through.Output), Is.EqualTo(Normal(direct.Output)));
        Assert.That(through.Output, Does.Contain("three!").Or.Contain("p3!"));
        Assert.That(Normal(through.Errors), Is.EqualTo(Normal(direct.Errors)).And.Contain("division by zero"));
        Assert.That(through.ExitCode, Is.EqualTo(direct.ExitCode).And.Not.Zero);
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task Notifications_reach_another_session(CancellationToken cancellationToken)
    {
        await using var listener = await Db.OpenAsync(_proxy.ConnectionString(), cancellationToken);
        await using var speaker = await Db.OpenAsync(_proxy.ConnectionString(), cancellationToken);
        var heard = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        listener.Notification += (_, e) => heard.TrySetResult(e.Payload);
        await listener.RunAsync("LISTEN chat", cancellationToken);
        await speaker.RunAsync("NOTIFY chat, 'over there'", cancellationToken);
        await listener.WaitAsync(cancellationToken);
        Assert.That(await heard.Task, Is.EqualTo("over there"));
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task Session_state_stays_with_its_session(CancellationToken cancellationToken)
    {
        await using var first = await Db.OpenAsync(_proxy.ConnectionString(), cancellationToken);
        await using var second = await Db.OpenAsync(_proxy.ConnectionString(), cancellationToken);
        await first.RunAsync("SET application_name = 'first'; CREATE TEMP TABLE own (a int); INSERT INTO own VALUES (1)", cancellationToken);
        await second.RunAsync("SET application_name = 'second'; CREATE TEMP TABLE own (a int)", cancellationToken);
        for (var i = 0; i < 5; i++)
        {
            Assert.That((await first.RowsAsync("SELECT current_setting('application_name'), count(*) FROM own", cancellationToken)).Single().Columns.Select(c => c.Value), Is.EqualTo(new[] { "first", "1" }));
            Assert.That((await second.RowsAsync("SELECT current_setting('application_name'), count(*) FROM own", cancellationToken)).Single().Columns.Select(c => c.Value), Is.EqualTo(new[] { "second", "0" }));
        }
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task Another_database_is_the_home_nodes_and_an_unknown_one_gives_the_servers_error(CancellationToken cancellationToken)
    {
        Assert.That(await Db.ScalarAsync<string>(_proxy.ConnectionString("postgres"), "SELECT current_database()::text", cancellationToken), Is.EqualTo("postgres"));
        await Db.ExecuteAsync(_proxy.ConnectionString(), "CREATE DATABASE elsewhere", cancellationToken);
        await Db.ExecuteAsync(_proxy.ConnectionString("elsewhere"), "CREATE TABLE here (a int)", cancellationToken);
        Assert.That(await Db.ScalarAsync<long>(_proxy.NodeConnectionString("node1", "elsewhere"), "SELECT count(*) FROM pg_class WHERE relname = 'here'", cancellationToken), Is.EqualTo(1));
        var error = Assert.ThrowsAsync<PostgresException>(async () => await (await Db.OpenAsync(_proxy.ConnectionString("nosuch"), cancellationToken)).DisposeAsync());
        Assert.That((error!.SqlState, error.MessageText), Is.EqualTo(("3D000", "database \"nosuch\" does not exist")));
    }
}
