using NUnit.Framework;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects clients from each other: whatever one client does to its session, in any order and however it leaves, the next one on the same
/// server finds it as new. Random sequences on a pool of one server; a failure prints its seed.
/// </summary>
internal sealed class SessionLeakTests : DataPathFixture
{
    private const int Rounds = 60;

    private static readonly string[] Changes =
    [
        "SET work_mem = '9MB'", "SET LOCAL work_mem = '8MB'", "SET datestyle = 'German'", "SET TIME ZONE 'Asia/Tokyo'", "SET search_path = pg_temp, public",
        "SET ROLE leak_role", "SET SESSION AUTHORIZATION leak_role", "RESET ROLE", "RESET ALL", "SET my.own = 'secret'", "SET application_name = 'mine'",
        "SET plan_cache_mode = force_custom_plan", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET client_encoding = 'LATIN1'",
        "SELECT set_config('work_mem', '7MB', false)", "SELECT set_config('my.other', 'secret', true)", "SELECT set_config('my.other', 'secret', false)",
        "DO $$ BEGIN PERFORM set_config('my.deep', 'secret', false); SET enable_seqscan = off; END $$", "SELECT leak_settings()", "SELECT leak_table()",
        "CREATE TEMP TABLE own (a int)", "CREATE TEMP TABLE gone (a int) ON COMMIT DROP", "DROP TABLE IF EXISTS own", "CREATE TEMP VIEW seen AS SELECT 1", "CREATE TABLE pg_temp.hidden (a int)",
        "LISTEN ch", "UNLISTEN *", "NOTIFY ch", "SELECT pg_advisory_lock(7)", "SELECT pg_advisory_xact_lock(8)", "SELECT pg_advisory_unlock_all()",
        "PREPARE own AS SELECT 1", "EXECUTE own", "DEALLOCATE ALL", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "DECLARE d CURSOR FOR SELECT 1", "CLOSE ALL",
        "SELECT nextval('leak_seq')", "INSERT INTO leak_serial DEFAULT VALUES", "SELECT setseed(0.25)", "DISCARD PLANS", "DISCARD TEMP", "DISCARD SEQUENCES", "DISCARD ALL",
        "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "SELECT 1/0", "SELEC", "SET work_mem = '6MB'; SELECT 1/0", "SET my.own = 'x'; COMMIT; SELECT 1/0", "BEGIN; SET my.own = 'y'; SELECT 1/0",
    ];

    private static readonly string[] Questions =
    [
        "SELECT string_agg(name || '=' || setting, ',' ORDER BY name) FROM pg_settings WHERE name !~ '^(transaction_|plpgsql)'",
        "SELECT concat_ws(',', current_user, session_user, nullif(current_setting('my.own', true), ''), nullif(current_setting('my.other', true), ''), nullif(current_setting('my.deep', true), ''))",
        "SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_my_temp_schema()",
        "SELECT count(*) FROM pg_listening_channels()",
        "SELECT count(*) FROM pg_prepared_statements WHERE from_sql",
        "SELECT count(*) FROM pg_cursors WHERE is_holdable",
        "SHOW transaction_read_only",
        "SHOW transaction_isolation",
    ];

    protected override Placement Tables { get; } = new Placement().Sharded("t", "id int8, v text", "id");

    protected override string Ddl => "CREATE TABLE t (id bigint PRIMARY KEY, v text)";

    protected override string HomeDdl => """
        CREATE ROLE leak_role;
        CREATE SEQUENCE leak_seq; GRANT ALL ON leak_seq TO PUBLIC;
        CREATE TABLE leak_serial (id bigserial); GRANT ALL ON leak_serial TO PUBLIC; GRANT ALL ON SEQUENCE leak_serial_id_seq TO PUBLIC;
        CREATE FUNCTION leak_settings() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN PERFORM set_config('my.deep', 'secret', false); SET statement_timeout = '1h'; END $f$;
        CREATE FUNCTION leak_table() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN CREATE TEMP TABLE IF NOT EXISTS made (a int); END $f$;
        """;

    protected override int PoolSize => 1;

    [OneTimeTearDown]
    public async Task DropRoleAsync() => await DirectAsync(0, "DROP OWNED BY leak_role CASCADE; DROP ROLE leak_role");

    [Test]
    public async Task TheNextClientFindsASessionAsNew([Values(false, true)] bool isExtended)
    {
        var seed = Environment.GetEnvironmentVariable("SHARDPROXY_TEST_SEED") is { Length: > 0 } given ? int.Parse(given, null) : Random.Shared.Next();
        TestContext.Out.WriteLine($"seed {seed} (SHARDPROXY_TEST_SEED replays it)");
        var random = new Random(seed);
        string[] asNew;
        using (var first = await Proxy.LoginAsync())
        {
            asNew = await LookAsync(first);
        }

        using var stays = await Proxy.LoginAsync();
        for (var round = 0; round < Rounds; round++)
        {
            var done = new List<string>();
            using (var client = await Proxy.LoginAsync())
            {
                for (var i = random.Next(1, 9); i > 0; i--)
                {
                    done.Add(Changes[random.Next(Changes.Length)]);
                    await RunAsync(client, done[^1], isExtended);
                }

                // A client may have its answer before its session has gone to rest.
                await UntilAsync(() => Proxy.Plane.Sessions().All(s => s.State != "active"));
                if (random.Next(2) == 0)
                {
                    await client.SendAsync(Terminate());
                }
                else if (random.Next(2) == 0 && Proxy.Plane.Sessions().All(s => !s.IsPinned && s.State != "idle in transaction"))
                {
                    // It stays connected, and its server is the others'.
                    Assert.That(await LookAsync(stays), Is.EqualTo(asNew), $"seed {seed}, round {round}, beside: {string.Join("; ", done)}");
                }
            }

            using var next = await Proxy.LoginAsync();
            Assert.That(await LocksAsync(), Is.EqualTo("0"), $"seed {seed}, round {round}, locks after: {string.Join("; ", done)}");
            Assert.That(await LookAsync(next), Is.EqualTo(asNew), $"seed {seed}, round {round}, after: {string.Join("; ", done)}");
            Assert.That(next.Parameters["DateStyle"], Is.EqualTo("ISO, MDY"));
            Assert.That((await next.QueryAsync("SELECT currval('leak_seq')")).SqlState, Is.EqualTo("55000"), $"seed {seed}, round {round}, after: {string.Join("; ", done)}");
            Assert.That((await next.QueryAsync("SELECT lastval()")).SqlState, Is.EqualTo("55000"), $"seed {seed}, round {round}, after: {string.Join("; ", done)}");
        }
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (!condition())
        {
            deadline.Token.ThrowIfCancellationRequested();
            await Task.Delay(TimeSpan.FromMilliseconds(1), deadline.Token);
        }
    }

    // A pinned server of a client that has left is closed, and its locks end with it, a moment later.
    private async Task<string> LocksAsync()
    {
        var locks = "";
        for (var i = 0; i < 500 && locks != "0"; i++)
        {
            locks = (await DirectAsync(0, $"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = '{Database}')"))[0];
        }

        return locks;
    }

    private static async Task RunAsync(ScriptedClient client, string sql, bool isExtended)
    {
        if (isExtended && !sql.Contains(';', StringComparison.Ordinal))
        {
            await client.SendAsync(Parse(sql), Bind(), Execute(), Sync());
            await client.ReadUntilReadyAsync();
        }
        else
        {
            await client.QueryAsync(sql);
        }
    }

    private static async Task<string[]> LookAsync(ScriptedClient client)
    {
        var answers = new List<string>();
        foreach (var question in Questions)
        {
            var reply = await client.QueryAsync(question);
            answers.Add(reply.Errors.Count > 0 ? reply.ToString() : reply.Rows[0][0] ?? "NULL");
        }

        return [.. answers];
    }
}
