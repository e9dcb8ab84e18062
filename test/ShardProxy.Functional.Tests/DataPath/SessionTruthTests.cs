using NUnit.Framework;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects the truth about a session: what a client has set holds on every server it gets, as long as it would on one PostgreSQL, and is
/// reported to it; what cannot be carried keeps its server, visibly, and only as long as it is there. Pools of one server make two clients
/// share it.
/// </summary>
internal sealed class SessionTruthTests : DataPathFixture
{
    protected override Placement Tables { get; } = new Placement().Sharded("t", "id int8, v text", "id");

    protected override string Ddl => """
        CREATE TABLE t (id bigint PRIMARY KEY, v text);
        CREATE FUNCTION set_path(text) RETURNS text LANGUAGE sql AS $f$ SELECT set_config('search_path', $1, false) $f$;
        CREATE FUNCTION make_temporary() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN CREATE TEMP TABLE made (a int); END $f$;
        CREATE FUNCTION nothing() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN RETURN 1; END $f$;
        CREATE TABLE home_only (a int);
        """;

    protected override string HomeDdl => """
        CREATE ROLE truth_role; GRANT truth_role TO CURRENT_USER; CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.t (id bigint, v text); CREATE TABLE numbered (id bigserial);
        CREATE TABLE triggered (a int);
        CREATE FUNCTION on_triggered() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN SET extra_float_digits = 0; INSERT INTO home_only VALUES (1); RETURN NEW; END $f$;
        CREATE TRIGGER t BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION on_triggered();
        """;

    protected override int PoolSize => 1;

    [OneTimeTearDown]
    public async Task DropRoleAsync() => await DirectAsync(0, "DROP OWNED BY truth_role; DROP ROLE truth_role");

    [Test]
    public async Task TheServersShowTheClientsName()
    {
        using var named = await Proxy.LoginAsync(("application_name", "named"));
        using var unnamed = await Proxy.LoginAsync();
        Assert.Multiple(() =>
        {
            Assert.That(named.Parameters["application_name"], Is.EqualTo("named"));
            Assert.That(unnamed.Parameters["application_name"], Is.Empty);
        });
        Assert.That(await OneAsync(named, "SHOW application_name"), Is.EqualTo("named"));
        Assert.That(await DirectAsync(0, $"SELECT application_name FROM pg_stat_activity WHERE datname = '{Database}' AND pid <> pg_backend_pid()"), Is.EqualTo(new[] { "named" }));
        Assert.That(await OneAsync(unnamed, "SHOW application_name"), Is.Empty);
        await OkAsync(unnamed, "SET application_name = 'renamed'");
        Assert.That(await OneAsync(named, "SHOW application_name"), Is.EqualTo("named"));
        Assert.That(await OneAsync(unnamed, "SHOW application_name"), Is.EqualTo("renamed"));
        await OkAsync(named, "SET application_name = 'other'; RESET application_name");
        Assert.That(await OneAsync(named, "SHOW application_name"), Is.EqualTo("named"), "RESET goes back to the start-up packet's value");
        await OkAsync(unnamed, "DISCARD ALL");
        Assert.That(await OneAsync(unnamed, "SHOW application_name"), Is.Empty);
    }

    [TestCase("RESET work_mem")]
    [TestCase("SET work_mem TO DEFAULT")]
    [TestCase("RESET ALL")]
    [TestCase("DISCARD ALL")]
    public async Task DefaultsAreThoseOfTheStartupPacket(string reset)
    {
        using var client = await Proxy.LoginAsync(("options", "-c work_mem=5MB -c search_path=elsewhere,public"), ("datestyle", "German"));
        using var other = await Proxy.LoginAsync();
        Assert.That(client.Parameters["DateStyle"], Is.EqualTo("German, DMY"));
        await OkAsync(client, "SET work_mem = '6MB'");
        Assert.That(await OneAsync(other, "SHOW work_mem"), Is.EqualTo("4MB"));
        Assert.That(await OneAsync(client, "SHOW work_mem"), Is.EqualTo("6MB"));
        await OkAsync(client, reset);
        Assert.That(await OneAsync(client, "SHOW work_mem"), Is.EqualTo("5MB"));
        await OkAsync(other, "SELECT 1");
        Assert.That(await OneAsync(client, "SHOW work_mem"), Is.EqualTo("5MB"));
        Assert.That(await OneAsync(client, "SHOW datestyle"), Is.EqualTo("German, DMY"));
        Assert.That(await OneAsync(client, "SELECT current_schemas(false)::text"), Is.EqualTo("{elsewhere,public}"));
    }

    [Test]
    public async Task ReportedParametersAreTrueAfterARollback()
    {
        using var client = await Proxy.LoginAsync();
        await OkAsync(client, "BEGIN");
        await OkAsync(client, "SET datestyle = 'German'");
        Assert.That(client.Parameters["DateStyle"], Is.EqualTo("German, DMY"));
        await OkAsync(client, "SAVEPOINT a");
        await OkAsync(client, "SET TIME ZONE 'Europe/Berlin'");
        Assert.That(client.Parameters["TimeZone"], Is.EqualTo("Europe/Berlin"));
        await OkAsync(client, "ROLLBACK TO a");
        Assert.That(client.Parameters["TimeZone"], Is.Not.EqualTo("Europe/Berlin"), "after a savepoint");
        await OkAsync(client, "SET LOCAL intervalstyle = 'iso_8601'");
        Assert.That(client.Parameters["IntervalStyle"], Is.EqualTo("iso_8601"));
        await OkAsync(client, "ROLLBACK");
        Assert.That(client.Parameters["DateStyle"], Is.EqualTo("ISO, MDY"), "after the block");
        Assert.That(client.Parameters["IntervalStyle"], Is.EqualTo("postgres"), "after SET LOCAL");
        await OkAsync(client, "SELECT set_config('intervalstyle', 'sql_standard', false)");
        Assert.That(client.Parameters["IntervalStyle"], Is.EqualTo("sql_standard"), "set by a function");
        using var other = await Proxy.LoginAsync();
        Assert.That(other.Parameters["IntervalStyle"], Is.EqualTo("postgres"));
        await OkAsync(client, "DISCARD ALL");
        Assert.That(client.Parameters["IntervalStyle"], Is.EqualTo("postgres"), "after DISCARD ALL");
    }

    [Test]
    public async Task WhatAFunctionSetIsCarriedAndPinsNothing()
    {
        using var client = await Proxy.LoginAsync();
        using var other = await Proxy.LoginAsync();
        await OkAsync(client, "SELECT set_config('work_mem', '7MB', false), set_config('my.tenant', 'it''s me', false)");
        await OkAsync(client, "DO $$ BEGIN PERFORM set_config('extra_float_digits', '0', false); END $$");
        Assert.That(Pinned(), Is.Empty);
        Assert.That(await OneAsync(other, "SELECT current_setting('work_mem') || coalesce(current_setting('my.tenant', true), '')"), Is.EqualTo("4MB"));
        Assert.That(await OneAsync(client, "SELECT concat_ws('|', current_setting('work_mem'), current_setting('my.tenant'), current_setting('extra_float_digits'))"), Is.EqualTo("7MB|it's me|0"));
        await OkAsync(client, "BEGIN; SELECT set_config('my.tenant', 'local', true); COMMIT");
        Assert.That(await OneAsync(client, "SHOW my.tenant"), Is.EqualTo("it's me"));
        await OkAsync(client, "BEGIN; SELECT set_config('my.tenant', 'undone', false); ROLLBACK");
        await OkAsync(other, "SELECT 1");
        Assert.That(await OneAsync(client, "SHOW my.tenant"), Is.EqualTo("it's me"));
    }

    [Test]
    public async Task RolesAreCarriedAndEndInTheRightOrder()
    {
        using var client = await Proxy.LoginAsync();
        using var other = await Proxy.LoginAsync();
        await OkAsync(client, "SET log_duration = off");
        await OkAsync(client, "SET ROLE truth_role");
        Assert.That(await OneAsync(other, "SELECT current_user"), Is.EqualTo(TestCluster.User));
        Assert.That(await OneAsync(client, "SELECT current_user"), Is.EqualTo("truth_role"));
        await OkAsync(client, "RESET ALL");
        Assert.That(await OneAsync(client, "SELECT current_user"), Is.EqualTo("truth_role"), "RESET ALL leaves the role");
        await OkAsync(client, "BEGIN; RESET ROLE; ROLLBACK");
        Assert.That(await OneAsync(client, "SELECT current_user"), Is.EqualTo("truth_role"));
        await OkAsync(client, "RESET ROLE");
        await OkAsync(client, "SET SESSION AUTHORIZATION truth_role");
        Assert.That(await OneAsync(other, "SELECT session_user"), Is.EqualTo(TestCluster.User));
        Assert.That(await OneAsync(client, "SELECT session_user"), Is.EqualTo("truth_role"));
        await OkAsync(client, "RESET SESSION AUTHORIZATION");
        Assert.That(await OneAsync(client, "SELECT session_user"), Is.EqualTo(TestCluster.User));
        await OkAsync(client, "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY");
        Assert.That(await OneAsync(other, "SHOW transaction_isolation"), Is.EqualTo("read committed"));
        Assert.That(await OneAsync(client, "SELECT current_setting('transaction_isolation') || current_setting('transaction_read_only')"), Is.EqualTo("serializableon"));
        Assert.That(Pinned(), Is.Empty);
    }

    private static IEnumerable<TestCaseData> States()
    {
        yield return State("CREATE TEMP TABLE x (a int)", "DROP TABLE x", "temporary table");
        yield return State("CREATE TEMP TABLE x AS SELECT 1", "DISCARD TEMP", "temporary table");
        yield return State("SELECT 1 AS a INTO TEMP x", "DROP TABLE x", "temporary table");
        yield return State("CREATE TEMP VIEW x AS SELECT 1", "DROP VIEW x", "temporary table");
        yield return State("CREATE TEMP SEQUENCE x", "DROP SEQUENCE x", "temporary table");
        yield return State("CREATE FUNCTION pg_temp.x() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION pg_temp.x()", "temporary table");
        yield return State("SELECT make_temporary()", "DROP TABLE made", "temporary table");
        yield return State("DO $$ BEGIN CREATE TEMP TABLE x (a int); END $$", "DISCARD ALL", "temporary table");
        yield return State("LISTEN ch", "UNLISTEN ch", "LISTEN");
        yield return State("LISTEN ch", "UNLISTEN *", "LISTEN");
        yield return State("SELECT pg_advisory_lock(5)", "SELECT pg_advisory_unlock(5)", "advisory lock");
        yield return State("SELECT pg_try_advisory_lock_shared(5)", "SELECT pg_advisory_unlock_all()", "advisory lock");
        yield return State("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE c", "cursor");
        yield return State("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE ALL", "cursor");
        yield return State("PREPARE p AS SELECT 1", "DEALLOCATE p", "SQL PREPARE");
        yield return State("PREPARE p AS SELECT 1", "DEALLOCATE ALL", "SQL PREPARE");
        yield return State("BEGIN; LISTEN ch; COMMIT", "BEGIN; UNLISTEN ch; COMMIT", "LISTEN");
        yield return State("SELECT pg_backend_pid()", "DISCARD ALL", "server process");
        yield return State("SELECT setseed(0.5)", "DISCARD ALL", "state until disconnect");
        yield return State("SET seed TO 0.5", "DISCARD ALL", "state until disconnect");
    }

    private static TestCaseData State(string begin, string end, string reason) => new TestCaseData(begin, end, reason).SetArgDisplayNames(begin, end);

    [TestCaseSource(nameof(States))]
    public async Task StateThatCannotBeCarriedPinsUntilItEnds(string begin, string end, string reason)
    {
        using var client = await Proxy.LoginAsync(("application_name", "pinning"));
        await OkAsync(client, begin);
        Assert.That(Pinned(), Is.EqualTo(new[] { reason }));
        await OkAsync(client, end);
        Assert.That(Pinned(), Is.Empty);

        // The only server of the pool is free again, and nothing is left on it.
        using var other = await Proxy.LoginAsync();
        Assert.That(await OneAsync(other, "SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()"), Is.EqualTo("0"));
        await OkAsync(client, "SELECT 1");
    }

    [TestCase("BEGIN; CREATE TEMP TABLE x (a int) ON COMMIT DROP; COMMIT")]
    [TestCase("BEGIN; LISTEN ch; ROLLBACK")]
    [TestCase("BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH c; COMMIT")]
    [TestCase("BEGIN; SELECT pg_advisory_xact_lock(5); COMMIT")]
    [TestCase("SELECT nothing()")]
    [TestCase("DO $$ BEGIN NULL; END $$")]
    [TestCase("CREATE TEMP TABLE x (a no_such_type)")]
    public async Task StateThatEndsWithItsTransactionDoesNotPin(string sql)
    {
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync(sql);
        Assert.That(Pinned(), Is.Empty);
        using var other = await Proxy.LoginAsync();
        await OkAsync(other, "SELECT 1");
    }

    // The seed stays with the connection, which is therefore closed; its tables and locks must not outlive the command.
    [Test]
    public async Task WhatDiscardAllEndsHasEndedWhenItAnswers()
    {
        await using var proxy = await StartProxyAsync(poolSize: 3);
        using var client = await proxy.LoginAsync();
        for (var round = 0; round < 20; round++)
        {
            await OkAsync(client, "SELECT setseed(0.5), pg_advisory_lock(4711); CREATE TEMP TABLE discarded (a int)");
            await OkAsync(client, "DISCARD ALL");
            Assert.That(await OneAsync(client, "SELECT pg_try_advisory_xact_lock(4711)::int - (SELECT count(*) FROM pg_class WHERE relname = 'discarded')"), Is.EqualTo("1"), $"round {round}");
        }
    }

    // What a block sees is settled by its first query, and the proxy asks none of its own before.
    [TestCase("SET datestyle = 'German'")]
    [TestCase("SET CONSTRAINTS ALL DEFERRED")]
    [TestCase("SET LOCAL work_mem = '5MB'")]
    [TestCase("SHOW work_mem")]
    [TestCase("CHECKPOINT")]
    [TestCase("NOTIFY here")]
    public async Task ASnapshotIsTakenByTheFirstQuery(string statement)
    {
        using var client = await Proxy.LoginAsync();
        await OkAsync(client, "BEGIN ISOLATION LEVEL REPEATABLE READ");
        await OkAsync(client, "LOCK TABLE home_only IN ACCESS SHARE MODE");
        await OkAsync(client, statement);
        await DirectAsync(0, "INSERT INTO home_only VALUES (1)");
        var seen = await OneAsync(client, "SELECT count(*) FROM home_only");
        await DirectAsync(0, "DELETE FROM home_only");
        Assert.That((seen, await OneAsync(client, "SELECT count(*) FROM home_only")), Is.EqualTo(("1", "1")));
        await OkAsync(client, "ROLLBACK");
    }

    [Test]
    public async Task ALibraryThatAnotherClientLoadedIsLoaded()
    {
        using (var other = await Proxy.LoginAsync())
        {
            await OkAsync(other, "SELECT nothing()");
        }

        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync("SET plpgsql.no_such = 'x'")).SqlState, Is.EqualTo("42602"));
    }

    // LOAD takes away parameters of the library's name that it does not know.
    [Test]
    public async Task ParametersThatLoadRemovesAreGone()
    {
        string[] statements = ["SET plpgsql.no_such = 'x'", "SHOW plpgsql.no_such", "LOAD 'plpgsql'", "SHOW plpgsql.no_such", "SET plpgsql.no_such = 'y'", "SELECT nothing()", "SELECT 1", "DISCARD ALL", "SELECT 1"];
        await using var proxy = await StartProxyAsync(poolSize: 2);
        using var direct = await DirectLoginAsync(0);
        using var client = await proxy.LoginAsync();
        foreach (var sql in statements)
        {
            Assert.That((await client.QueryAsync(sql)).ToString(), Is.EqualTo((await direct.QueryAsync(sql)).ToString()), sql);
        }
    }

    [Test]
    public async Task SequenceValuesAreTheSessionsOwnOrRefused([Values(false, true)] bool isExtended)
    {
        using var client = await Proxy.LoginAsync();
        using var other = await Proxy.LoginAsync();
        Task<Transcript> RunAsync(ScriptedClient who, string sql) => isExtended ? who.ExecuteAsync(sql) : who.QueryAsync(sql);
        Assert.That((await RunAsync(client, "SELECT lastval()")).SqlState, Is.EqualTo("55000"));
        var own = (await RunAsync(client, "INSERT INTO numbered DEFAULT VALUES RETURNING id")).Rows[0][0];
        await RunAsync(other, "SELECT 1");
        Assert.That((await RunAsync(other, "SELECT lastval()")).SqlState, Is.EqualTo("55000"), "another client's value");
        await RunAsync(other, "INSERT INTO numbered DEFAULT VALUES");
        Assert.That((await RunAsync(client, "SELECT lastval()")).ToString(), Does.Contain("not at hand"), "another client has drawn on the only server since");
        own = (await RunAsync(client, "INSERT INTO numbered DEFAULT VALUES RETURNING id")).Rows[0][0];
        Assert.That((await RunAsync(client, "SELECT lastval()")).Rows[0][0], Is.EqualTo(own));
        Assert.That(Pinned(), Is.EqualTo(new[] { "sequence values" }));
        await OkAsync(client, "DISCARD SEQUENCES");
        Assert.That(Pinned(), Is.Empty);
        Assert.That((await RunAsync(client, "SELECT lastval()")).SqlState, Is.EqualTo("55000"));
        await OkAsync(client, "SELECT setval('numbered_id_seq', 100)");
        Assert.That(Pinned(), Is.EqualTo(new[] { "sequence values" }));
        Assert.That((await RunAsync(client, "SELECT currval('numbered_id_seq')")).Rows[0][0], Is.EqualTo("100"));
    }

    [Test]
    public async Task ASearchPathSetForABlockOrByAFunctionIsKnownToRouting()
    {
        using var client = await Proxy.LoginAsync();
        foreach (var (before, after) in new[]
        {
            ("BEGIN; SET LOCAL search_path = elsewhere", "ROLLBACK"), ("BEGIN; SELECT set_config('search_path', 'elsewhere', true)", "COMMIT"),
            ("SELECT set_path('elsewhere')", "RESET search_path"), ("SET search_path = elsewhere", "SET search_path = DEFAULT"),
            ("BEGIN; SET LOCAL ROLE truth_role", "ROLLBACK"), ("SET ROLE truth_role", "RESET ROLE"),
        })
        {
            await OkAsync(client, before);
            var reply = await client.QueryAsync("SELECT * FROM t WHERE id = 1");
            Assert.That(reply.ToString(), Does.Contain("changed search_path"), before);
            await OkAsync(client, after);
            await OkAsync(client, "SELECT * FROM t WHERE id = 1");
        }

        await OkAsync(client, "BEGIN; SELECT set_config('my.x', 'known', true)");
        foreach (var id in Enumerable.Range(1, 20))
        {
            Assert.That(await OneAsync(client, $"SELECT current_setting('my.x') FROM (SELECT 1) x LEFT JOIN t ON t.id = {id} WHERE true LIMIT 1"), Is.EqualTo("known"), "on every node");
        }

        await OkAsync(client, "COMMIT");
    }

    [Test]
    public async Task StateLeftByATriggerIsNotLookedFor()
    {
        using var client = await Proxy.LoginAsync();
        await OkAsync(client, "INSERT INTO triggered VALUES (1)");
        Assert.That(await DirectAsync(0, "SELECT count(*) FROM home_only"), Is.EqualTo(new[] { "1" }), "nor is the table looked for that it writes");
        using var other = await Proxy.LoginAsync();
        Assert.That(await OneAsync(other, "SHOW extra_float_digits"), Is.EqualTo("0"), "the document says so");
        await OkAsync(other, "SET extra_float_digits = 1");
        await OkAsync(other, "DO $$ BEGIN END $$");
    }

    [Test]
    public async Task PreparedStatementsOfOthersAreListedUnderOurNames()
    {
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Frontend.Parse("SELECT 'named by a client'", "mine"), Frontend.Sync());
        await client.ReadUntilReadyAsync();
        using var other = await Proxy.LoginAsync();
        Assert.That(await OneAsync(other, "SELECT name ~ '^sp_' FROM pg_prepared_statements WHERE statement ~ 'named by a client'"), Is.EqualTo("t"));
    }

    [Test]
    public async Task StringsTheLexerWouldMisreadEndTheSession()
    {
        using var client = await Proxy.LoginAsync();
        var reply = await client.QueryAsync("SELECT set_config('standard_conforming_strings', 'off', false)");
        var rest = await client.ReadUntilReadyAsync();
        Assert.That(reply.ToString() + rest, Does.Contain("cannot be turned off"));
        Assert.That(await client.ReadAsync(), Is.Null);
        using var other = await Proxy.LoginAsync();
        Assert.That(await OneAsync(other, "SHOW standard_conforming_strings"), Is.EqualTo("on"));
        Assert.That(async () => await Proxy.LoginAsync(("options", "-c standard_conforming_strings=off")), Throws.InvalidOperationException.With.Message.Contains("cannot be turned off"));
    }

    [Test]
    public async Task NotificationsComeWhileIdleAndInsideTransactions()
    {
        await using var proxy = await StartProxyAsync(poolSize: 3);
        using var first = await proxy.LoginAsync();
        using var second = await proxy.LoginAsync();
        using var sender = await proxy.LoginAsync();
        await OkAsync(first, "LISTEN ch");
        await OkAsync(second, "LISTEN ch");
        await OkAsync(sender, "NOTIFY ch, 'idle'");
        foreach (var listener in new[] { first, second })
        {
            Assert.That(Notified(await listener.ReadUntilAsync('A')), Is.EqualTo(new[] { "idle" }));
        }

        await OkAsync(first, "BEGIN; SELECT 1");
        await OkAsync(sender, "NOTIFY ch, 'during'");
        Assert.That(Notified(await second.ReadUntilAsync('A')), Is.EqualTo(new[] { "during" }));
        Assert.That(Notified(await first.QueryAsync("COMMIT")), Is.EqualTo(new[] { "during" }), "delivered at the end of the transaction");
        await OkAsync(first, "BEGIN; NOTIFY ch, 'own'; ROLLBACK");
        Assert.That(Notified(await first.QueryAsync("BEGIN; NOTIFY ch, 'mine'; COMMIT")), Is.EqualTo(new[] { "mine" }));
    }

    [Test]
    public async Task ALostServerEndsOnlySessionsWhoseStateItHeld()
    {
        await using var proxy = await StartProxyAsync(poolSize: 3);
        using var listener = await proxy.LoginAsync();
        using var plain = await proxy.LoginAsync();
        await OkAsync(listener, "LISTEN ch");
        await OkAsync(plain, "SELECT 1");
        await DirectAsync(0, $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{Database}' AND pid <> pg_backend_pid()");
        while (await DirectAsync(0, $"SELECT 1 FROM pg_stat_activity WHERE datname = '{Database}' AND pid <> pg_backend_pid()") is { Length: > 0 })
        {
            // Each question takes its time.
        }

        var last = await listener.ReadUntilReadyAsync();
        Assert.That(last.Messages[^1].Type, Is.EqualTo('E'));
        Assert.That(last.ToString(), Does.Contain("57P01"));
        await OkAsync(plain, "SELECT 1");
    }

    // Process id, channel, payload.
    private static string[] Notified(Transcript reply) =>
        [.. reply.Messages.Where(m => m.Type == 'A').Select(m => System.Text.Encoding.UTF8.GetString(m.Body.AsSpan(4)).Split('\0')[1])];

    private string[] Pinned() => [.. Proxy.Plane.Sessions().Where(s => s.IsPinned).Select(s => s.PinReason)];

    private static async Task OkAsync(ScriptedClient client, string sql)
    {
        var reply = await client.QueryAsync(sql);
        Assert.That(reply.Errors, Is.Empty, $"{sql}\n{reply}");
    }

    private static async Task<string> OneAsync(ScriptedClient client, string sql)
    {
        var reply = await client.QueryAsync(sql);
        Assert.That(reply.Errors, Is.Empty, $"{sql}\n{reply}");
        return reply.Rows[0][0]!;
    }
}
