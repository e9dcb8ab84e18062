using System.Globalization;
using System.Text.RegularExpressions;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects the programs people already have, on databases without a placed table: what psql shows, what pg_dump writes and pg_restore reads back, and
// what sysbench counts is what it is without the proxy.
[TestFixture]
internal sealed partial class ClientProgramTests
{
    private const string Schema = """
        CREATE SCHEMA shop;
        CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent');
        CREATE DOMAIN shop.amount AS numeric(12,2) CHECK (VALUE >= 0);
        CREATE TABLE shop.customer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, born date, note json);
        CREATE TABLE shop.bill (id serial PRIMARY KEY, customer bigint REFERENCES shop.customer, total shop.amount DEFAULT 0, state shop.state, at timestamptz DEFAULT '2001-02-03 04:05:06+00');
        CREATE INDEX bill_by_state ON shop.bill (state, total DESC) WHERE total > 10;
        CREATE VIEW shop.open_bill AS SELECT b.id, c.name, b.total FROM shop.bill b JOIN shop.customer c ON c.id = b.customer WHERE b.state = 'new';
        CREATE MATERIALIZED VIEW shop.totals AS SELECT customer, sum(total) AS total FROM shop.bill GROUP BY customer;
        CREATE TABLE shop.event (at date NOT NULL, what text, size int) PARTITION BY RANGE (at);
        CREATE TABLE shop.event_old PARTITION OF shop.event FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
        CREATE TABLE shop.event_new PARTITION OF shop.event DEFAULT;
        CREATE FUNCTION shop.twice(n numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n';
        CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.at := '2002-01-01Z'; RETURN NEW; END$$;
        CREATE TRIGGER stamp BEFORE UPDATE ON shop.bill FOR EACH ROW EXECUTE FUNCTION shop.stamp();
        CREATE RULE quiet AS ON DELETE TO shop.open_bill DO INSTEAD NOTHING;
        CREATE AGGREGATE shop.longest(text) (SFUNC = pg_catalog.textcat, STYPE = text, INITCOND = '');
        CREATE OPERATOR shop.## (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = pg_catalog.numeric_add);
        ALTER TABLE shop.bill ENABLE ROW LEVEL SECURITY;
        CREATE POLICY small ON shop.bill FOR SELECT USING (total < 1000);
        CREATE STATISTICS shop.both ON customer, state FROM shop.bill;
        CREATE PUBLICATION feed FOR TABLE shop.customer;
        CREATE COLLATION shop.plain FROM "C";
        GRANT SELECT ON shop.customer TO PUBLIC;
        COMMENT ON TABLE shop.bill IS 'what is owed';
        INSERT INTO shop.customer (name, born) SELECT 'customer ' || i, date '1970-01-01' + i FROM generate_series(1, 2000) i;
        INSERT INTO shop.bill (customer, total, state) SELECT 1 + i % 2000, i % 97, (ARRAY['new', 'paid', 'sent'])[1 + i % 3]::shop.state FROM generate_series(1, 6000) i;
        INSERT INTO shop.event SELECT date '2019-06-01' + i, 'e' || i, i FROM generate_series(1, 400) i;
        REFRESH MATERIALIZED VIEW shop.totals;
        SELECT lo_from_bytea(4711, decode(repeat('a0ff', 5000), 'hex'));
        """;

    private const string Commands = """
        \d
        \d+
        \d shop.*
        \d+ shop.bill
        \d+ shop.open_bill
        \d+ shop.event
        \d shop.bill_by_state
        \d shop.bill_id_seq
        \dt+ shop.*
        \di shop.*
        \dm shop.*
        \dv shop.*
        \ds shop.*
        \dP shop.*
        \dn
        \dn+
        \dT+ shop.*
        \dD shop.*
        \df shop.*
        \da shop.*
        \do shop.*
        \dO shop.*
        \dX shop.*
        \dp shop.*
        \ddp
        \dC integer
        \dconfig work_mem
        \dA
        \dAc btree integer
        \dAf hash text
        \dAo gin
        \dAp btree integer
        \db
        \dc pg_catalog.utf8_to_koi8*
        \dd shop.*
        \dE
        \des
        \deu
        \dew
        \det
        \dF
        \dFd
        \dFp
        \dFt
        \dg pg_read*
        \du pg_write*
        \dl
        \dL
        \drds
        \dRp+
        \dRs
        \dx
        \dy
        \l template*
        \z shop.customer
        \sf shop.twice
        \sv shop.open_bill
        \lo_list
        \encoding
        \set V 7
        SELECT :V AS seven \gset x_
        \echo :x_seven
        SELECT 1 AS a, 'two' AS b \gdesc
        SELECT state, customer % 3 AS third, count(*) FROM shop.bill GROUP BY 1, 2 \crosstabview
        SELECT format('SELECT %s AS made', i) FROM generate_series(1, 3) i \gexec
        SELECT * FROM nowhere;
        \errverbose
        SELECT 1 +
          x FROM shop.customer;
        \set VERBOSITY verbose
        SELECT 1/0;
        \set VERBOSITY default
        \set FETCH_COUNT 100
        SELECT id FROM shop.customer ORDER BY id LIMIT 250;
        \set FETCH_COUNT 0
        \set ON_ERROR_ROLLBACK on
        BEGIN;
        SELECT 1/0;
        SELECT count(*) FROM shop.bill;
        COMMIT;
        \set AUTOCOMMIT off
        SELECT 1 AS in_a_block;
        ROLLBACK;
        \set AUTOCOMMIT on
        \copy (SELECT id, name FROM shop.customer ORDER BY id LIMIT 3) TO STDOUT CSV HEADER
        CREATE TEMP TABLE t (a int, b text);
        \copy t FROM STDIN CSV
        1,one
        2,two
        \.
        SELECT * FROM t ORDER BY a;
        \x
        SELECT * FROM t ORDER BY a;
        \x
        \pset format csv
        SELECT * FROM t ORDER BY a;
        \dt pg_temp*.t
        \pset format aligned
        \timing off
        \c
        SELECT count(*) FROM shop.event;
        """;

    private ProxyProcess _proxy = null!;

    [GeneratedRegex("ignored errors: +0 ")]
    private static partial Regex NoIgnoredErrors { get; }

    [GeneratedRegex(@"pg_temp_\d+|port ""\d+""|at .* on port|shardproxy[a-z_]*")]
    private static partial Regex Varying { get; }

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _proxy = await ProxyProcess.StartAsync();
        foreach (var database in new[] { "dumped", "restored", "benched" })
        {
            (await PostgresProgram.PsqlAsync(_proxy.ConnectionString(), CancellationToken.None, "-c", $"CREATE DATABASE {database}")).Succeeded();
        }

        (await PostgresProgram.PsqlScriptAsync(_proxy.ConnectionString("dumped"), Schema, CancellationToken.None)).Succeeded();
    }

    [OneTimeTearDown]
    public async Task StopAsync() => await _proxy.DisposeAsync();

    [Test]
    [CancelAfter(60_000)]
    public async Task Psql_shows_what_it_shows_without_the_proxy(CancellationToken cancellationToken)
    {
        var direct = await PsqlAsync(_proxy.NodeConnectionString("node1", "dumped"), cancellationToken);
        var through = await PsqlAsync(_proxy.ConnectionString("dumped"), cancellationToken);
        Assert.That(through, Is.EqualTo(direct));
        Assert.That(direct, Does.Contain("what is owed").And.Contain("in_a_block").And.Contain("division by zero"), "the commands must have run");
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task A_dump_in_every_format_is_restored_with_everything_in_it(CancellationToken cancellationToken)
    {
        var directory = Directory.CreateTempSubdirectory("shardproxy-dump");
        try
        {
            var source = _proxy.ConnectionString("dumped");
            var target = _proxy.ConnectionString("restored");
            var plain = Text((await PostgresProgram.PgDumpAsync(source, cancellationToken)).Succeeded());
            Assert.That(plain, Is.EqualTo(Text((await PostgresProgram.PgDumpAsync(_proxy.NodeConnectionString("node1", "dumped"), cancellationToken)).Succeeded())));
            foreach (var (format, dumpJobs, restoreJobs) in new[] { ("custom", 1, 3), ("tar", 1, 1), ("directory", 3, 3) })
            {
                var file = Path.Combine(directory.FullName, format);
                (await PostgresProgram.PgDumpAsync(source, cancellationToken, "-F", format, "-f", file, "-j", Number(dumpJobs))).Succeeded();
                (await PostgresProgram.RunAsync("pg_restore", target, ["--clean", "--if-exists", "--exit-on-error", "-d", "restored", "-j", Number(restoreJobs), file], null, cancellationToken)).Succeeded();
                Assert.That(Text((await PostgresProgram.PgDumpAsync(target, cancellationToken)).Succeeded()), Is.EqualTo(plain), format);
            }
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Test]
    [CancelAfter(180_000)]
    public async Task Sysbench_runs_without_an_error(CancellationToken cancellationToken)
    {
        var sysbench = await TestPrerequisites.EnsureProgramAsync("sysbench", "sysbench", cancellationToken);
        var address = _proxy.Address("proxy");
        string[] common =
        [
            "--db-driver=pgsql", $"--pgsql-host={address.Host}", $"--pgsql-port={Number(address.Port)}", $"--pgsql-user={TestCluster.User}",
            $"--pgsql-password={TestCluster.Password}", "--pgsql-db=benched", "--tables=2", "--table-size=2000", "--events=0",
        ];
        await SysbenchAsync("oltp_read_write", "prepare");
        foreach (var mode in new[] { "auto", "disable" })
        {
            // Transactions of several clients collide by chance, also without a proxy: one client runs those.
            foreach (var (test, clients) in new[] { ("oltp_point_select", 6), ("oltp_read_only", 6), ("oltp_update_index", 6), ("oltp_insert", 6), ("oltp_delete", 6), ("oltp_read_write", 1) })
            {
                var output = await SysbenchAsync(test, "run", "--time=1", $"--threads={Number(clients)}", $"--db-ps-mode={mode}");
                Assert.That(output, Does.Match(NoIgnoredErrors).And.Not.Contain("FATAL"), test);
            }
        }

        await SysbenchAsync("oltp_read_write", "cleanup");

        async Task<string> SysbenchAsync(string test, string command, params string[] more) =>
            (await PostgresProgram.RunAsync(sysbench, _proxy.ConnectionString("benched"), [test, .. common, .. more, command], null, cancellationToken)).Succeeded();
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static async Task<string> PsqlAsync(string connectionString, CancellationToken cancellationToken)
    {
        var result = await PostgresProgram.RunAsync("psql", connectionString, ["-X"], Commands, cancellationToken);
        return Varying.Replace($"{result.Output}\n--- errors\n{result.Errors}", "…");
    }

    // pg_dump writes a random key for psql's restricted mode.
    private static string Text(string dump) =>
        string.Join('\n', dump.Split('\n').Where(l => !l.StartsWith("\\restrict", StringComparison.Ordinal) && !l.StartsWith("\\unrestrict", StringComparison.Ordinal)));
}
