using System.Globalization;
using NUnit.Framework;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects what <c>docs/compatibility.md</c> says of the differences from one PostgreSQL: each test shows the difference as the page has it, and
/// fails when the page is not true any more, in either direction.
/// </summary>
internal sealed class DifferenceTests : DataPathFixture
{
    protected override Placement Tables { get; } = new Placement()
        .Sharded("s", "k int8, n int4", "k")
        .Replicated("r", "id int4, v text")
        .Replicated("numbered", "id int4, v text");

    protected override string Ddl => """
        CREATE TABLE s (k bigint PRIMARY KEY, n int);
        CREATE TABLE r (id int PRIMARY KEY, v text);
        CREATE TABLE numbered (id int NOT NULL, v text);
        CREATE TABLE texts (said text);
        CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $f$
        BEGIN
            RAISE NOTICE 'told';
            INSERT INTO texts VALUES (current_query());
            RETURN NULL;
        END $f$;
        CREATE TRIGGER told AFTER INSERT OR UPDATE ON r FOR EACH STATEMENT EXECUTE FUNCTION tell();
        CREATE TRIGGER told AFTER TRUNCATE ON s FOR EACH STATEMENT EXECUTE FUNCTION tell();
        """;

    protected override string HomeDdl => """
        CREATE TABLE plain (id int);
        CREATE SEQUENCE numbered_id_seq OWNED BY numbered.id;
        ALTER TABLE numbered ALTER COLUMN id SET DEFAULT nextval('numbered_id_seq');
        """;

    [SetUp]
    public Task EmptyAsync() => DirectOnAllAsync("TRUNCATE s, r, numbered; TRUNCATE texts");

    [Test]
    public async Task EachNodeHasASnapshotOfItsOwn()
    {
        var (here, there) = await KeysAsync();
        using var reader = await Proxy.LoginAsync();
        using var writer = await Proxy.LoginAsync();
        await reader.QueryAsync("BEGIN ISOLATION LEVEL REPEATABLE READ");
        Assert.That(await ValueAsync(reader, here), Is.EqualTo("0"));
        foreach (var key in new[] { here, there })
        {
            Assert.That((await writer.QueryAsync($"UPDATE s SET n = 1 WHERE k = {key}")).Errors, Is.Empty);
        }

        // One PostgreSQL would show neither. Per node the level holds: what was seen stays.
        Assert.That(await ValueAsync(reader, here), Is.EqualTo("0"));
        Assert.That(await ValueAsync(reader, there), Is.EqualTo("1"));
        Assert.That((await reader.QueryAsync("SELECT sum(n) FROM s")).Rows[0][0], Is.EqualTo("1"));
        await reader.QueryAsync("COMMIT");
        Assert.That((await reader.QueryAsync("SELECT sum(n) FROM s")).Rows[0][0], Is.EqualTo("2"));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task SerializableFindsConflictsOfOneNodeOnly(bool oneNode)
    {
        var (first, other) = await KeysAsync(oneNode);
        using var a = await Proxy.LoginAsync();
        using var b = await Proxy.LoginAsync();
        foreach (var client in new[] { a, b })
        {
            await client.QueryAsync("BEGIN ISOLATION LEVEL SERIALIZABLE");
        }

        // A write skew: each reads what the other writes.
        Assert.That(await ValueAsync(a, first), Is.EqualTo("0"));
        Assert.That(await ValueAsync(b, other), Is.EqualTo("0"));
        var states = new List<string?>
        {
            (await a.QueryAsync($"UPDATE s SET n = 1 WHERE k = {other}")).SqlState,
            (await b.QueryAsync($"UPDATE s SET n = 1 WHERE k = {first}")).SqlState,
            (await a.QueryAsync("COMMIT")).SqlState,
            (await b.QueryAsync("COMMIT")).SqlState,
        };
        Assert.That(states.Contains("40001"), Is.EqualTo(oneNode), string.Join(',', states));
    }

    [Test]
    public async Task TheHomeNodeSpeaksForAll()
    {
        // The same rows in another order on the other nodes.
        for (var node = 0; node < Cluster.Nodes.Count; node++)
        {
            await DirectAsync(node, node == 0 ? "INSERT INTO r VALUES (3, 'c'), (1, 'a'), (2, 'b')" : "INSERT INTO r VALUES (1, 'a'), (2, 'b'), (3, 'c')");
        }

        using var client = await Proxy.LoginAsync();
        var reply = await client.QueryAsync("UPDATE r SET v = v || '!' RETURNING id");
        Assert.That(reply.Errors, Is.Empty, reply.ToString());
        Assert.That(reply.Tags, Is.EqualTo(new[] { "UPDATE 3" }), "not the sum over the nodes");
        Assert.That(reply.Messages.Count(m => m.Type == 'N'), Is.EqualTo(1), "every node has said it, one is heard");
        Assert.That(reply.Rows.Select(row => row[0]), Is.EqualTo(new[] { "3", "1", "2" }), "the home node's order");
        Assert.That(await OnEachNodeAsync("SELECT count(*) FROM r WHERE v LIKE '%!'"), Is.All.EqualTo(new[] { "3" }));
    }

    [Test]
    public async Task StatementsAreTheClientsTextOnEveryServer()
    {
        const string write = "INSERT INTO r /* as it is */\n   VALUES (1, 'x')";
        using var client = await Proxy.LoginAsync();
        Assert.That((await client.QueryAsync($"/* before */ {write} -- behind")).Errors, Is.Empty);
        Assert.That(await OnEachNodeAsync("SELECT said FROM texts"), Is.All.EqualTo(new[] { write }));
        var (here, _) = await KeysAsync();
        var read = $"SELECT  current_query() /* spaces too */ FROM s WHERE k = {here}";
        Assert.That((await client.QueryAsync(read)).Rows[0][0], Is.EqualTo(read));
        Assert.That((await client.ExecuteAsync(read)).Rows[0][0], Is.EqualTo(read));

        // TRUNCATE over placed and unsharded tables cannot be: the others do not have the unsharded one.
        await DirectOnAllAsync("TRUNCATE texts");
        Assert.That((await client.QueryAsync("TRUNCATE plain, s /* both */")).Errors, Is.Empty);
        var said = (await OnEachNodeAsync("SELECT said FROM texts")).Select(t => t.Single()).ToArray();
        Assert.That(said[1..], Is.All.Contains("TRUNCATE").And.All.Not.Contains("both").And.All.Not.Contains("plain"));
    }

    [Test]
    public async Task ANewConnectionIsNoNewServerSession()
    {
        const int clients = 40;
        using var watch = await DirectLoginAsync(0);
        await using var proxy = await StartProxyAsync(poolSize: 1);
        var before = await SessionsAsync(watch);
        var servers = new HashSet<string?>();
        for (var i = 0; i < clients; i++)
        {
            using var client = await proxy.LoginAsync();
            servers.Add((await client.QueryAsync("SELECT backend_start FROM pg_stat_activity WHERE datname = current_database() AND query = current_query() AND state = 'active'")).Rows[0][0]);
            await client.TerminateAsync();
        }

        Assert.That(servers, Has.Count.EqualTo(1), "one server served them all");

        // It is counted when it ends at the latest.
        await proxy.DisposeAsync();
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        var grown = 0L;
        while (grown == 0)
        {
            deadline.Token.ThrowIfCancellationRequested();
            grown = await SessionsAsync(watch) - before;
        }

        Assert.That(grown, Is.LessThan(clients));
    }

    [Test]
    public async Task ASerialOfAReplicatedTableIsTheSameOnEveryNode()
    {
        using var client = await Proxy.LoginAsync();
        foreach (var sql in new[] { "INSERT INTO numbered (v) VALUES ('x')", "INSERT INTO numbered VALUES (DEFAULT, 'x')" })
        {
            var refused = await client.QueryAsync(sql);
            Assert.That((refused.SqlState, refused.Errors.Single().Field('D')), Is.EqualTo(("0A000", "SHP-214")), $"{sql}: {refused}");
        }

        // Drawn once, and given to every node.
        var value = (await client.QueryAsync("INSERT INTO numbered VALUES (nextval('numbered_id_seq'), 'x') RETURNING id")).Rows[0][0];
        Assert.That(await OnEachNodeAsync("SELECT id FROM numbered"), Is.All.EqualTo(new[] { value }));
    }

    /// <summary>Each node logs the client's user in by itself: roles, memberships and the very verifiers of passwords are the same everywhere, or nowhere.</summary>
    [Test]
    public async Task RolesAreMadeOnEveryNode([Values] bool isExtended)
    {
        var role = $"everywhere_{Database}{(isExtended ? "_x" : "")}";
        using var client = await Proxy.LoginAsync();
        async Task<string?> RunAsync(string sql) => (isExtended ? await client.ExecuteAsync(sql) : await client.QueryAsync(sql)).SqlState;
        async Task AssertOneAnswerAsync(string sql, Func<string[], bool> isRight)
        {
            var rows = await OnEachNodeAsync(sql);
            Assert.That(rows, Is.All.EqualTo(rows[0]), sql);
            Assert.That(isRight(rows[0]), Is.True, $"{sql}: {string.Join(", ", rows[0])}");
        }

        var verifier = $"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'";
        Assert.That(await RunAsync($"CREATE ROLE {role} LOGIN PASSWORD 'first'"), Is.Null);
        await AssertOneAnswerAsync(verifier, r => r is [['S', 'C', 'R', 'A', 'M', ..]]);
        var first = (await DirectAsync(0, verifier))[0];
        Assert.That(await RunAsync($"ALTER USER {role} WITH PASSWORD 'second' CONNECTION LIMIT 7"), Is.Null);
        await AssertOneAnswerAsync(verifier, r => r is [['S', ..]] && r[0] != first);
        Assert.That(await RunAsync($"ALTER ROLE {role} PASSWORD NULL"), Is.Null);
        await AssertOneAnswerAsync(verifier, r => r is [""]);
        Assert.That(await RunAsync($"GRANT pg_read_all_data TO {role}"), Is.Null);
        await AssertOneAnswerAsync($"SELECT pg_has_role('{role}', 'pg_read_all_data', 'member'), rolconnlimit FROM pg_roles WHERE rolname = '{role}'", r => r is ["t|7"]);
        Assert.That(await RunAsync($"ALTER ROLE {role} SET work_mem = '5MB'"), Is.Null);
        await AssertOneAnswerAsync($"SELECT rolconfig FROM pg_roles WHERE rolname = '{role}'", r => r is ["{work_mem=5MB}"]);
        await client.QueryAsync("BEGIN");
        Assert.That(await RunAsync($"DROP ROLE {role}"), Is.Null);
        await client.QueryAsync("ROLLBACK");
        await AssertOneAnswerAsync($"SELECT count(*) FROM pg_roles WHERE rolname = '{role}'", r => r is ["1"]);

        // What one node refuses is done on none.
        await DirectAsync(1, $"CREATE ROLE {role}_two");
        Assert.That(await RunAsync($"CREATE ROLE {role}_two"), Is.EqualTo("42710"));
        Assert.That((await OnEachNodeAsync($"SELECT count(*) FROM pg_roles WHERE rolname = '{role}_two'"))[0][0], Is.EqualTo("0"));
        await DirectAsync(1, $"DROP ROLE {role}_two");
        Assert.That(await RunAsync($"DROP ROLE {role}"), Is.Null);
        await AssertOneAnswerAsync($"SELECT count(*) FROM pg_roles WHERE rolname = '{role}'", r => r is ["0"]);
    }

    private static async Task<string?> ValueAsync(ScriptedClient client, long key) => (await client.QueryAsync($"SELECT n FROM s WHERE k = {key}")).Rows[0][0];

    // Two rows, on two nodes or on one.
    private async Task<(long First, long Other)> KeysAsync(bool oneNode = false)
    {
        using var client = await Proxy.LoginAsync();
        for (var k = 1; k <= 16; k++)
        {
            Assert.That((await client.QueryAsync($"INSERT INTO s VALUES ({k}, 0)")).Errors, Is.Empty);
        }

        var keys = await OnEachNodeAsync("SELECT k FROM s ORDER BY k");
        return oneNode
            ? (long.Parse(keys[0][0], CultureInfo.InvariantCulture), long.Parse(keys[0][1], CultureInfo.InvariantCulture))
            : (long.Parse(keys[0][0], CultureInfo.InvariantCulture), long.Parse(keys[1][0], CultureInfo.InvariantCulture));
    }

    private static async Task<long> SessionsAsync(ScriptedClient client) =>
        long.Parse((await client.QueryAsync("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")).Rows[0][0]!, CultureInfo.InvariantCulture);
}
