using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects that what tables use (schemas, types, functions, rights …) is the same on every node once a table is placed, whichever way the statement is
/// sent, and that a failure on one node leaves all as they were.
/// </summary>
internal sealed class SharedDdlTests : DataPathFixture
{
    private const string Labels = "SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum e JOIN pg_type t ON t.oid = enumtypid WHERE typname = '{0}'";

    protected override Placement Tables { get; } = new Placement().Sharded("s", "k int8, n int4", "k").Replicated("r", "id int4, v text");

    protected override string Ddl => "CREATE TABLE s (k bigint PRIMARY KEY, n int); CREATE TABLE r (id int PRIMARY KEY, v text); CREATE INDEX s_n ON s (n);";

    protected override string HomeDdl => "CREATE TABLE plain (id int PRIMARY KEY, v text); CREATE TYPE old AS ENUM ('a'); INSERT INTO s VALUES (1, 1)";

    private static readonly object[] Statements =
    [
        new[] { "CREATE SCHEMA apart_#", "SELECT count(*) FROM pg_namespace WHERE nspname = 'apart_#'", "1" },
        new[] { "CREATE SCHEMA full_# CREATE TABLE t (x int) CREATE VIEW v AS SELECT * FROM t", "SELECT count(*) FROM pg_namespace WHERE nspname = 'full_#'", "1" },
        new[] { "CREATE TYPE mood_# AS ENUM ('fine', 'bad')|ALTER TYPE mood_# ADD VALUE 'so-so' BEFORE 'bad'|ALTER TYPE mood_# RENAME VALUE 'fine' TO 'good'", Labels.Replace("{0}", "mood_#", StringComparison.Ordinal), "good,so-so,bad" },
        new[] { "CREATE TYPE pair_# AS (a int, b text)|ALTER TYPE pair_# ADD ATTRIBUTE c date", "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'pair_#'::regclass", "a,b,c" },
        new[] { "CREATE DOMAIN small_# AS int CHECK (value < 10)|ALTER DOMAIN small_# ADD CONSTRAINT above CHECK (value > 0)", "SELECT count(*) FROM pg_constraint WHERE contypid = 'small_#'::regtype", "2" },
        new[] { "CREATE TYPE span_# AS RANGE (subtype = int)", "SELECT count(*) FROM pg_range WHERE rngtypid = 'span_#'::regtype", "1" },
        new[] { "CREATE FUNCTION twice_#(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'|CREATE OR REPLACE FUNCTION twice_#(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 4'|ALTER FUNCTION twice_#(int) STRICT", "SELECT proisstrict, twice_#(2) FROM pg_proc WHERE proname = 'twice_#'", "t|8" },
        new[] { "CREATE PROCEDURE act_#() LANGUAGE plpgsql AS 'BEGIN END'", "SELECT prokind FROM pg_proc WHERE proname = 'act_#'", "p" },
        new[] { "CREATE AGGREGATE total_#(int) (sfunc = int4pl, stype = int)|COMMENT ON AGGREGATE total_#(int) IS 'sum'", "SELECT obj_description('total_#(int)'::regprocedure)", "sum" },
        new[] { "CREATE FUNCTION near_#(int, int) RETURNS bool LANGUAGE sql AS 'SELECT abs($1 - $2) < 2'|CREATE SCHEMA ops_#|CREATE OPERATOR ops_#.=~= (function = near_#, leftarg = int, rightarg = int)", "SELECT 1 OPERATOR(ops_#.=~=) 2", "t" },
        new[] { "CREATE TYPE box_# AS (x int)|CREATE FUNCTION unbox_#(box_#) RETURNS int LANGUAGE sql AS 'SELECT $1.x'|CREATE CAST (box_# AS int) WITH FUNCTION unbox_#(box_#)", "SELECT ROW(7)::box_#::int", "7" },
        new[] { "CREATE COLLATION plain_# FROM \"C\"", "SELECT count(*) FROM pg_collation WHERE collname = 'plain_#'", "1" },
        new[] { "CREATE TEXT SEARCH CONFIGURATION words_# (COPY = simple)", "SELECT count(*) FROM pg_ts_config WHERE cfgname = 'words_#'", "1" },
        new[] { "CREATE SCHEMA left_#|CREATE TYPE left_#.t AS ENUM ('x')|DROP SCHEMA left_# CASCADE", "SELECT count(*) FROM pg_namespace WHERE nspname = 'left_#'", "0" },
        new[] { "CREATE TYPE gone_# AS ENUM ('x')|CREATE DOMAIN d_# AS int|DROP DOMAIN d_#|DROP TYPE gone_#, old_#", "SELECT count(*) FROM pg_type WHERE typname IN ('gone_#', 'd_#')", "0" },
        new[] { "GRANT SELECT ON ALL TABLES IN SCHEMA public TO pg_monitor", "SELECT has_table_privilege('pg_monitor', 's', 'SELECT')", "t" },
        new[] { "CREATE SCHEMA shown_#|GRANT USAGE ON SCHEMA shown_# TO pg_monitor", "SELECT has_schema_privilege('pg_monitor', 'shown_#', 'USAGE')", "t" },
        new[] { "CREATE FUNCTION mine_#() RETURNS int LANGUAGE sql AS 'SELECT 1'|REVOKE ALL ON FUNCTION mine_#() FROM PUBLIC", "SELECT has_function_privilege('pg_monitor', 'mine_#()', 'EXECUTE')", "f" },
        new[] { "CREATE SCHEMA given_#|ALTER DEFAULT PRIVILEGES IN SCHEMA given_# GRANT SELECT ON TABLES TO pg_monitor", "SELECT count(*) FROM pg_default_acl WHERE defaclnamespace = 'given_#'::regnamespace", "1" },
        new[] { "ALTER INDEX s_n RENAME TO s_n_#|ALTER INDEX s_n_# SET (fillfactor = 50)|ALTER INDEX s_n_# RENAME TO s_n", "SELECT reloptions FROM pg_class WHERE relname = 's_n'", "{fillfactor=50}" },
        new[] { "CREATE STATISTICS stat_# ON k, n FROM s|ALTER STATISTICS stat_# SET STATISTICS 50", "SELECT stxstattarget FROM pg_statistic_ext WHERE stxname = 'stat_#'", "50" },
        new[] { "COMMENT ON TABLE s IS 'rows #'", "SELECT obj_description('s'::regclass)", "rows #" },
        new[] { "ALTER TABLE s RENAME COLUMN n TO m|ALTER TABLE s RENAME COLUMN m TO n", "SELECT attname FROM pg_attribute WHERE attrelid = 's'::regclass AND attnum = 2", "n" },
    ];

    [TestCaseSource(nameof(Statements))]
    public async Task EveryNodeHasIt(string sql, string question, string answer)
    {
        using var client = await Proxy.LoginAsync();
        foreach (var way in new[] { "simple", "extended", "block" })
        {
            await DirectAsync(0, $"CREATE TYPE old_{way} AS ENUM ('x')");
            var before = Proxy.SchemaChanges;
            var changes = false;
            foreach (var one in sql.Replace("#", way, StringComparison.Ordinal).Split('|'))
            {
                // A new label of an enum may not be used, nor renamed, before it is committed.
                if (way == "block")
                {
                    Assert.That((await client.QueryAsync("BEGIN")).SqlState, Is.Null);
                }

                var reply = way == "extended" ? await client.ExecuteAsync(one) : await client.QueryAsync(one);
                Assert.That(reply.SqlState, Is.Null, $"{one}: {reply}");
                changes |= !one.StartsWith("GRANT", StringComparison.Ordinal) && !one.StartsWith("COMMENT ON AGG", StringComparison.Ordinal) && !one.Contains("PRIVILEGES", StringComparison.Ordinal);
                if (way == "block")
                {
                    Assert.That((await client.QueryAsync("COMMIT")).SqlState, Is.Null, one);
                }
            }

            var rows = await OnEachNodeAsync(question.Replace("#", way, StringComparison.Ordinal));
            Assert.That(rows, Is.All.EqualTo(new[] { answer.Replace("#", way, StringComparison.Ordinal) }), $"{way}: {sql}");
            Assert.That(Proxy.SchemaChanges > before, Is.EqualTo(changes), sql);
            await DirectAsync(0, $"DROP TYPE IF EXISTS old_{way}");
        }
    }

    [TestCase("CREATE TYPE clash AS ENUM ('x')", "CREATE TYPE clash AS ENUM ('y')", "42710", "SELECT count(*) FROM pg_type WHERE typname = 'clash'")]
    [TestCase("CREATE FUNCTION clash() RETURNS text LANGUAGE sql AS 'SELECT NULL::text'", "CREATE FUNCTION clash() RETURNS int LANGUAGE sql AS 'SELECT 1'", "42723", "SELECT count(*) FROM pg_proc WHERE proname = 'clash'")]
    [TestCase("CREATE SCHEMA clash", "CREATE SCHEMA clash", "42P06", "SELECT count(*) FROM pg_namespace WHERE nspname = 'clash'")]
    public async Task WhatOneNodeRefusesIsDoneOnNone(string onTwo, string sql, string state, string count)
    {
        await DirectAsync(1, onTwo);
        using var client = await Proxy.LoginAsync();
        var reply = await client.QueryAsync(sql);
        Assert.That(reply.SqlState, Is.EqualTo(state));
        Assert.That(reply.Errors.Single().Field('W'), Does.Contain("on node \"node2\""));
        var rows = await OnEachNodeAsync(count);
        Assert.That(rows.Select(r => r[0]), Is.EqualTo(rows.Select((_, i) => i == 1 ? "1" : "0")));
        await client.QueryAsync("BEGIN");
        Assert.That((await client.QueryAsync(sql)).SqlState, Is.EqualTo(state));
        Assert.That((await client.QueryAsync("COMMIT")).Tags, Is.EqualTo(new[] { "ROLLBACK" }));
        Assert.That((await OnEachNodeAsync(count))[0][0], Is.EqualTo("0"));
    }

    [Test]
    public async Task WhatRefersToUnshardedTablesStaysAtHomeAndIsSaid()
    {
        using var client = await Proxy.LoginAsync();
        var reply = await client.QueryAsync("CREATE FUNCTION name_of(plain) RETURNS text LANGUAGE sql AS 'SELECT $1.v'");
        Assert.That((reply.SqlState, reply.Messages.Single(m => m.Type == 'N').Field('M')), Is.EqualTo(((string?)null, "made on the home node only: node \"node2\" lacks what it refers to (type plain does not exist)")));
        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM pg_proc WHERE proname = 'name_of'")).Select(r => r[0]), Is.EqualTo(new[] { "1", "0" }));

        // Made before any table was placed: changes and drops reach the nodes that have it.
        foreach (var sql in new[] { "ALTER TYPE old ADD VALUE 'b'", "COMMENT ON TYPE old IS 'x'", "GRANT USAGE ON TYPE old TO PUBLIC", "ALTER FUNCTION name_of(plain) STRICT", "DROP FUNCTION name_of(plain)", "CREATE TYPE fresh AS ENUM ('x')", "DROP TYPE old, fresh" })
        {
            Assert.That((await client.QueryAsync(sql)).SqlState, Is.Null, sql);
        }

        Assert.That(await OnEachNodeAsync("SELECT count(*) FROM pg_type WHERE typname IN ('old', 'fresh')"), Is.All.EqualTo(new[] { "0" }));

        // One that a node has under that name must not become another than the home node's.
        await DirectOnAllAsync("CREATE DOMAIN everywhere AS int");
        await DirectAsync(0, "CREATE FUNCTION positive(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0'");
        Assert.That((await client.QueryAsync("ALTER DOMAIN everywhere ADD CHECK (positive(value))")).SqlState, Is.EqualTo("42883"));
        Assert.That(await OnEachNodeAsync("SELECT count(*) FROM pg_constraint WHERE contypid = 'everywhere'::regtype"), Is.All.EqualTo(new[] { "0" }));
    }

    [Test]
    public async Task AnIndexBuiltConcurrentlyIsOnAllNodesOrCanBeRepeated()
    {
        const string Count = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE relname = 's_quot' AND indisvalid";
        using var client = await Proxy.LoginAsync();
        await DirectAsync(1, "INSERT INTO s VALUES (77, 0)");
        const string Create = "CREATE INDEX CONCURRENTLY s_quot ON s ((1 / n))";
        var reply = await client.QueryAsync(Create);
        Assert.That((reply.SqlState, reply.Errors.Single().Field('W')), Is.EqualTo(("22012", "on node \"node2\"; no other node has done it")));
        await DirectAsync(1, "DELETE FROM s WHERE k = 77");
        Assert.That((await client.QueryAsync(Create)).SqlState, Is.Null);
        Assert.That(await OnEachNodeAsync(Count), Is.All.EqualTo(new[] { "1" }));
        foreach (var sql in new[] { "REINDEX INDEX CONCURRENTLY s_quot", "REINDEX TABLE s", "REINDEX INDEX s_quot", "CLUSTER s USING s_pkey", "VACUUM (ANALYZE) s", "REINDEX INDEX plain_pkey" })
        {
            var file = await OnEachNodeAsync("SELECT relfilenode FROM pg_class WHERE relname = 's_quot'");
            reply = await client.QueryAsync(sql);
            Assert.That(reply.SqlState, Is.Null, $"{sql}: {reply}");
            if (!sql.Contains("VACUUM", StringComparison.Ordinal) && !sql.Contains("plain", StringComparison.Ordinal))
            {
                var now = await OnEachNodeAsync("SELECT relfilenode FROM pg_class WHERE relname = 's_quot'");
                Assert.That(now.Where((n, i) => n[0] == file[i][0]), Is.Empty, sql);
            }
        }

        Assert.That((await client.QueryAsync("DROP INDEX CONCURRENTLY s_quot")).SqlState, Is.Null);
        Assert.That(await OnEachNodeAsync(Count), Is.All.EqualTo(new[] { "0" }));
    }

    [TestCase("ALTER SCHEMA public RENAME TO other", "SHP-210")]
    [TestCase("ALTER TABLE s RENAME TO other", "SHP-210")]
    [TestCase("ALTER TABLE s RENAME COLUMN k TO other", "SHP-223")]
    public async Task WhatWouldTakePlacedTablesOutOfSightIsRefused(string sql, string code)
    {
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync(sql)).Errors.Single().Field('D'), Is.EqualTo(code));
    }
}
