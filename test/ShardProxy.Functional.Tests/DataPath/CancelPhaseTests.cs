using System.Net;
using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects cancel requests in every phase of a statement: it ends with 57014 or goes on as if nothing had been asked, the client's connection
/// stays in step, no other client is hit, and a commit over several nodes that is decided stays decided.
/// </summary>
internal sealed class CancelPhaseTests : DataPathFixture
{
    protected override Placement Tables { get; } = new Placement().Sharded("s", "k int8, n int4", "k");

    protected override string Ddl => """
        CREATE TABLE s (k bigint PRIMARY KEY, n int);
        CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $f$;
        CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.n = -1) EXECUTE FUNCTION slow_commit();
        """;

    protected override string HomeDdl => "CREATE TABLE lines (t text)";

    [SetUp]
    public async Task EmptyAsync()
    {
        await DirectOnAllAsync("TRUNCATE s");
        await DirectAsync(0, "TRUNCATE lines");
    }

    [Test]
    public async Task IdleAndJustFinishedNothingHappens()
    {
        using var client = await Proxy.LoginAsync();
        await CancelAsync(client);
        Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null);
        for (var i = 0; i < 30; i++)
        {
            await client.SendAsync(Query("SELECT 1"));
            await client.ReadUntilReadyAsync();
            var cancelling = CancelAsync(client);
            await cancelling;
            Assert.That((await client.QueryAsync("SELECT 2")).SqlState, Is.Null, "the statement after the one that was meant");
        }

        await client.QueryAsync("BEGIN; SELECT 1");
        await CancelAsync(client);
        Assert.That((await client.QueryAsync("COMMIT")).Tags, Is.EqualTo(new[] { "COMMIT" }));
    }

    [TestCase(false)]
    [TestCase(true)]
    public async Task WhileItWaitsForAConnection(bool inTransaction)
    {
        await using var proxy = await StartProxyAsync(poolSize: 1);
        using var holder = await proxy.LoginAsync();
        using var client = await proxy.LoginAsync();
        using var next = await proxy.LoginAsync();
        await holder.QueryAsync("BEGIN; SELECT 1");
        if (inTransaction)
        {
            await client.QueryAsync("BEGIN");
        }

        await client.SendAsync(Query("SELECT 1"));
        await UntilAsync(() => Task.FromResult(proxy.Plane.Pools().Sum(p => p.Waiting) == 1));
        await next.SendAsync(Query("SELECT 2"));
        await UntilAsync(() => Task.FromResult(proxy.Plane.Pools().Sum(p => p.Waiting) == 2));
        await client.CancelAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
        var reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.SqlState, reply.Errors.Single().Field('D'), reply.Status), Is.EqualTo(("57014", "SHP-144", inTransaction ? 'E' : 'I')), reply.ToString());
        Assert.That(proxy.Plane.Pools().Sum(p => p.Waiting), Is.EqualTo(1), "another client's wait was ended");
        await holder.QueryAsync("COMMIT");
        Assert.That((await next.ReadUntilReadyAsync()).Rows[0][0], Is.EqualTo("2"));
        await client.QueryAsync("ROLLBACK");
        Assert.That((await client.QueryAsync("SELECT 3")).Rows[0][0], Is.EqualTo("3"));
    }

    [TestCase(false)]
    [TestCase(true)]
    public async Task WhileItsServerIsStillLoggingIn(bool extended)
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var slow = FakeBackend.Start(new FakeBackendOptions { LoginGate = gate.Task, LoginGateFrom = 3 });
        await using var proxy = await ProxyUnderTest.StartAsync([slow.EndPoint], "app");
        using var client = await proxy.LoginAsync();
        using var next = await proxy.LoginAsync();
        Assert.That(slow.Logins, Is.EqualTo(2));

        // The server is restarted, and is slow in letting anybody in again.
        slow.CutAll();
        await client.SendAsync(extended ? [Parse("SELECT 2"), Bind(), Execute(), Sync()] : [Query("SELECT 2")]);
        await UntilAsync(() => Task.FromResult(slow.Logins == 3 && proxy.Plane.Pools().Sum(p => p.Waiting) == 1));
        await next.SendAsync(Query("SELECT 3"));
        await UntilAsync(() => Task.FromResult(proxy.Plane.Pools().Sum(p => p.Waiting) == 2));
        await client.CancelAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
        var reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.SqlState, reply.Errors.Single().Field('D'), reply.Status), Is.EqualTo(("57014", "SHP-144", 'I')), reply.ToString());
        Assert.That(proxy.Plane.Pools().Sum(p => p.Waiting), Is.EqualTo(1), "another client's wait was ended");
        Assert.That(slow.Cancels, Is.Empty, "no server works for it");

        // Nobody else is hurt, and what was cancelled is never sent.
        gate.SetResult();
        Assert.That((await next.ReadUntilReadyAsync()).SqlState, Is.Null);
        Assert.That((await client.QueryAsync("SELECT 5")).SqlState, Is.Null);
        Assert.That(slow.Received.Select(m => System.Text.Encoding.UTF8.GetString(m.Body)), Has.None.Contains("SELECT 2"));
        Assert.That(slow.Cancels, Is.Empty);
    }

    [TestCase(false)]
    [TestCase(true)]
    public async Task WhileAServerWorks(bool extended)
    {
        using var client = await Proxy.LoginAsync();
        using var other = await Proxy.LoginAsync();
        var others = other.QueryAsync("SELECT pg_sleep(0.5)");
        await client.SendAsync(extended ? [Parse("SELECT pg_sleep(60)"), Bind(), Execute(), Sync()] : [Query("SELECT pg_sleep(60)")]);
        await UntilActiveAsync();
        await CancelAsync(client);
        await ExpectCancelledAsync(client, 'I');
        Assert.That((await others).SqlState, Is.Null);
    }

    [Test]
    public async Task WhileParseAndBindWait()
    {
        // A Parse waits for the lock of the table it names, and so does a Bind that plans.
        using var locker = await DirectLoginAsync(0);
        await locker.QueryAsync("BEGIN; LOCK lines");
        using var client = await Proxy.LoginAsync();
        await client.SendAsync(Parse("SELECT * FROM lines", "p"), Sync());
        await UntilWaitingForLockAsync();
        await CancelAsync(client);
        await ExpectCancelledAsync(client, 'I');
        await locker.QueryAsync("COMMIT");
        await client.SendAsync(Parse("SELECT * FROM lines", "p"), Sync());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.Null);
        await locker.QueryAsync("BEGIN; LOCK lines");
        await client.SendAsync(Bind("p"), Execute(), Sync());
        await UntilWaitingForLockAsync();
        await CancelAsync(client);
        await ExpectCancelledAsync(client, 'I');
        await locker.QueryAsync("COMMIT");
        await client.SendAsync(Bind("p"), Execute(), Sync());
        Assert.That((await client.ReadUntilReadyAsync()).Tags, Is.EqualTo(new[] { "SELECT 0" }));
    }

    [Test]
    public async Task DuringCopyIn()
    {
        using var client = await Proxy.LoginAsync();
        foreach (var table in new[] { "lines", "s (k, n)" })
        {
            await client.SendAsync(Query($"COPY {table} FROM STDIN"));
            await client.ReadUntilAsync('G');
            await client.SendAsync(CopyData(table == "lines" ? "one\n" : "1\t1\n2\t2\n3\t3\n4\t4\n"));
            await CancelAsync(client);
            await client.SendAsync(CopyData(table == "lines" ? "two\n" : "5\t5\n"), CopyDone());
            var reply = await client.ReadUntilReadyAsync();
            Assert.That(reply.SqlState, Is.EqualTo("57014").Or.Null, reply.ToString());
            var copied = reply.SqlState is null;
            Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null);

            // All of it or nothing, on every node.
            var rows = table == "lines" ? (await DirectAsync(0, "SELECT count(*) FROM lines"))[0] : (await client.QueryAsync("SELECT count(*) FROM s")).Rows[0][0];
            Assert.That(rows, Is.EqualTo(!copied ? "0" : table == "lines" ? "2" : "5"));
        }
    }

    [Test]
    public async Task DuringCopyOutAndLongResults()
    {
        using var client = await Proxy.LoginAsync();
        foreach (var sql in new[] { "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000000)) TO STDOUT", "SELECT repeat('x', 1000) FROM generate_series(1, 10000000)" })
        {
            await client.SendAsync(Query(sql));
            await client.ReadUntilAsync(sql[0] == 'C' ? 'd' : 'D');
            var cancelling = CancelAsync(client);
            var reply = await client.ReadUntilReadyAsync();
            await cancelling;
            Assert.That((reply.SqlState, reply.Status), Is.EqualTo(("57014", 'I')));
            Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null);
        }
    }

    [Test]
    public async Task DuringACommitOverNodesAllOrNothing()
    {
        var seed = Environment.TickCount;
        TestContext.Out.WriteLine($"seed {seed}");
        var random = new Random(seed);
        using var client = await Proxy.LoginAsync();
        var committed = 0;
        for (var round = 0; round < 12; round++)
        {
            await client.QueryAsync("BEGIN");
            for (var k = 1; k <= 8; k++)
            {
                Assert.That((await client.QueryAsync($"INSERT INTO s VALUES ({(round * 10) + k}, {(k == 1 ? -1 : round)})")).Errors, Is.Empty);
            }

            await client.SendAsync(Query("COMMIT"));
            var cancelling = CancelAtAsync(client, TimeSpan.FromMilliseconds(random.Next(260)));
            var reply = await client.ReadUntilReadyAsync();
            await cancelling;
            Assert.That(reply.Status, Is.EqualTo('I'), $"seed {seed}: {reply}");
            var rows = (await client.QueryAsync($"SELECT count(*) FROM s WHERE k BETWEEN {round * 10} AND {(round * 10) + 9}")).Rows[0][0];
            Assert.That(rows, Is.EqualTo(reply.SqlState is null && reply.Tags is ["COMMIT"] ? "8" : "0"), $"seed {seed}: {reply}");
            committed += rows == "8" ? 1 : 0;
        }

        TestContext.Out.WriteLine($"{committed} of 12 committed");
        Assert.That((await OnEachNodeAsync("SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()")).SelectMany(c => c), Is.All.EqualTo("0"));
    }

    // A cancel request that comes before the statement, in the middle of it, behind it.
    private async Task CancelAtAsync(ScriptedClient client, TimeSpan after)
    {
        await Task.Delay(after);
        await CancelAsync(client);
    }

    private Task CancelAsync(ScriptedClient client) => client.CancelAsync(new IPEndPoint(IPAddress.Loopback, Proxy.Port));

    private static async Task ExpectCancelledAsync(ScriptedClient client, char status)
    {
        var reply = await client.ReadUntilReadyAsync();
        Assert.That((reply.SqlState, reply.Status), Is.EqualTo(("57014", status)), reply.ToString());
        Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null);
    }

    private async Task UntilActiveAsync()
    {
        await UntilAsync(async () => (await DirectAsync(0, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()"))[0] == "1");
    }

    private Task UntilWaitingForLockAsync() => UntilAsync(async () => (await DirectAsync(0, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'lines'::regclass"))[0] == "1");

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!await condition())
        {
            deadline.Token.ThrowIfCancellationRequested();
        }
    }
}
