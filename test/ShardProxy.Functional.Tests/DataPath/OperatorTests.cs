using System.Net;
using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.Model.Errors;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects what an administrator and the clock may do to sessions: limits in time, KILL, PAUSE, RESUME, draining, cancel requests. Each reaches
/// the session it is meant for, says so with PostgreSQL's SQLSTATE, and no other session notices.
/// </summary>
[TestFixture]
internal sealed class OperatorTests
{
    private TestCluster _cluster = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _cluster = await SharedCluster.GetAsync();

    [Test]
    public async Task AStatementThatWorksTooLongIsCancelled()
    {
        await using var proxy = await StartAsync(o => o with { StatementTimeout = TimeSpan.FromMilliseconds(300) });
        using var client = await proxy.LoginAsync();
        using var other = await proxy.LoginAsync();
        foreach (var extended in new[] { false, true })
        {
            var slow = extended ? client.ExecuteAsync("SELECT pg_sleep(30)") : client.QueryAsync("SELECT pg_sleep(30)");
            Assert.That((await other.QueryAsync("SELECT pg_sleep(0.05)")).SqlState, Is.Null);
            var reply = await slow;
            Assert.That((reply.SqlState, reply.Status), Is.EqualTo(("57014", 'I')), reply.ToString());
            Assert.That(reply.Errors.Single().Field('D'), Does.StartWith("SHP-143"));
            Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null);
        }

        await client.QueryAsync("BEGIN");
        Assert.That((await client.QueryAsync("SELECT pg_sleep(30)")).Status, Is.EqualTo('E'));
        Assert.That((await client.QueryAsync("ROLLBACK")).Status, Is.EqualTo('I'));
    }

    [TestCase(true, "25P03", "SHP-107")]
    [TestCase(false, "57P05", "SHP-108")]
    public async Task WhoIsIdleForTooLongIsSentAway(bool inTransaction, string sqlState, string code)
    {
        var limit = TimeSpan.FromMilliseconds(400);
        await using var proxy = await StartAsync(o => inTransaction ? o with { IdleInTransactionTimeout = limit } : o with { ClientIdleTimeout = limit });
        using var idle = await proxy.LoginAsync();
        using var busy = await proxy.LoginAsync();
        using var other = await proxy.LoginAsync();
        await busy.QueryAsync("BEGIN");
        await idle.QueryAsync(inTransaction ? "BEGIN; SELECT 1" : "SELECT 1");
        var end = idle.ReadUntilReadyAsync();
        while (!end.IsCompleted)
        {
            Assert.That((await busy.QueryAsync("SELECT 1")).SqlState, Is.Null, "a client that works was sent away");
            Assert.That((await other.QueryAsync("SELECT 1")).SqlState, Is.Null);
        }

        var reply = await end;
        Assert.That((reply.SqlState, reply.Types), Is.EqualTo((sqlState, "E")), reply.ToString());
        Assert.That((reply.Errors.Single().Field('S'), reply.Errors.Single().Field('D')), Is.EqualTo(("FATAL", code)));
        Assert.That(await idle.ReadAsync(), Is.Null, "the connection stayed open");
        await UntilAsync(() => proxy.Plane.Pools().Sum(p => p.Leased) <= 1);
    }

    [TestCase("")]
    [TestCase("BEGIN; SELECT 1")]
    [TestCase("CREATE TEMP TABLE t (i int)")]
    [TestCase("SELECT pg_sleep(30)")]
    [TestCase("COPY pg_temp.c FROM STDIN")]
    public async Task KillEndsThatSessionAndNoOther(string doing)
    {
        await using var proxy = await StartAsync(o => o);
        using var victim = await proxy.LoginAsync();
        using var other = await proxy.LoginAsync();
        await victim.QueryAsync("CREATE TEMP TABLE c (i int)");
        await other.QueryAsync("BEGIN; SELECT 1");
        var id = proxy.Plane.Sessions().Min(s => s.Id);
        Assert.That(proxy.Plane.Control.Kill(id + 1000), Is.False);
        if (doing.StartsWith("SELECT", StringComparison.Ordinal) || doing.StartsWith("COPY", StringComparison.Ordinal))
        {
            await victim.SendAsync(Query(doing));
            await UntilAsync(() => proxy.Plane.Sessions().Single(s => s.Id == id).State == "active");
        }
        else if (doing.Length > 0)
        {
            await victim.QueryAsync(doing);
        }

        Assert.That(proxy.Plane.Control.Kill(id), Is.True);
        var last = await victim.ReadUntilReadyAsync();
        while (last.Status is not null)
        {
            last = await victim.ReadUntilReadyAsync();
        }

        Assert.That(last.Errors[^1].Field('C'), Is.EqualTo("57P01"), last.ToString());
        Assert.That(last.Errors[^1].Field('D'), Is.EqualTo("SHP-109"));
        Assert.That((await other.QueryAsync("COMMIT")).Tags, Is.EqualTo(new[] { "COMMIT" }));
        await UntilAsync(() => proxy.Plane.Sessions().Length == 1);
        using var next = await proxy.LoginAsync();
        Assert.That((await next.QueryAsync("SELECT 1")).SqlState, Is.Null);
    }

    [Test]
    public async Task APauseHoldsClientsAndLetsTransactionsEnd()
    {
        await using var proxy = await StartAsync(o => o);
        using var inTransaction = await proxy.LoginAsync();
        using var pinned = await proxy.LoginAsync();
        using var waiting = await proxy.LoginAsync();
        await pinned.QueryAsync("CREATE TEMP TABLE t AS SELECT 7 AS i");
        await inTransaction.QueryAsync("BEGIN; SELECT 1");
        var pausing = proxy.Plane.Control.PauseAsync(TestCluster.Database, CancellationToken.None).AsTask();
        await UntilAsync(() => proxy.Plane.Pools().All(p => p.IsPaused));
        await waiting.SendAsync(Query("SELECT 2"));
        await pinned.SendAsync(Query("SELECT i FROM t"));
        await UntilAsync(() => proxy.Plane.Sessions().Count(s => s.WaitingSince is not null) == 2);
        Assert.That(pausing.IsCompleted, Is.False, "a transaction is under way");
        Assert.That((await inTransaction.QueryAsync("SELECT 1")).SqlState, Is.Null, "a transaction was held");
        await inTransaction.QueryAsync("COMMIT");
        await pausing.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.That(proxy.Plane.Pools().Sum(p => p.Idle), Is.Zero);
        Assert.That(proxy.Plane.Control.Resume(null), Is.EqualTo(new[] { TestCluster.Database }));
        Assert.That((await waiting.ReadUntilReadyAsync()).Rows[0][0], Is.EqualTo("2"));
        Assert.That((await pinned.ReadUntilReadyAsync()).Rows[0][0], Is.EqualTo("7"));
    }

    [Test]
    public async Task APauseThatTakesTooLongPausesNothing()
    {
        await using var proxy = await StartAsync(o => o with { PoolWait = TimeSpan.FromMilliseconds(300) });
        using var inTransaction = await proxy.LoginAsync();
        using var other = await proxy.LoginAsync();
        await inTransaction.QueryAsync("BEGIN; SELECT 1");
        var refused = Assert.ThrowsAsync<ShardProxyException>(async () => await proxy.Plane.Control.PauseAsync(null, CancellationToken.None))!;
        Assert.That((refused.Error.SqlState, refused.Error.Code), Is.EqualTo(("55006", "SHP-640")));
        Assert.That((await other.QueryAsync("SELECT 1")).SqlState, Is.Null);
        await inTransaction.QueryAsync("COMMIT");
    }

    [Test]
    public async Task DrainingSendsClientsAwayBetweenTransactions()
    {
        await using var proxy = await StartAsync(o => o);
        using var idle = await proxy.LoginAsync();
        using var inTransaction = await proxy.LoginAsync();
        using var pipeline = await proxy.LoginAsync();
        await inTransaction.QueryAsync("BEGIN; SELECT 1");
        await pipeline.SendAsync(Parse("SELECT 5"), Bind(), Execute(), Flush());
        await pipeline.ReadUntilAsync('C');
        var draining = proxy.Plane.DrainAsync(CancellationToken.None).AsTask();
        var told = await idle.ReadUntilReadyAsync();
        Assert.That((told.SqlState, told.Errors.Single().Field('D')), Is.EqualTo(("57P01", "SHP-105")));
        Assert.That(proxy.Plane.IsDraining, Is.True);
        Assert.ThrowsAsync(Is.InstanceOf<Exception>(), async () => (await proxy.LoginAsync()).Dispose(), "a new client was taken");
        Assert.That((await inTransaction.QueryAsync("SELECT 1")).SqlState, Is.Null);
        Assert.That((await inTransaction.QueryAsync("COMMIT")).Tags, Is.EqualTo(new[] { "COMMIT" }));
        Assert.That((await inTransaction.ReadUntilReadyAsync()).SqlState, Is.EqualTo("57P01"));
        Assert.That(draining.IsCompleted, Is.False, "a pipeline is not at its end");
        await pipeline.SendAsync(Sync());
        Assert.That((await pipeline.ReadUntilReadyAsync()).Status, Is.EqualTo('I'));
        Assert.That((await pipeline.ReadUntilReadyAsync()).SqlState, Is.EqualTo("57P01"));
        await draining.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Test]
    public async Task ACancelRequestNeverMeetsAnotherClient()
    {
        var seed = Environment.TickCount;
        TestContext.Out.WriteLine($"seed {seed}");
        var random = new Random(seed);
        await using var proxy = await StartAsync(o => o with { PoolSize = 3 });
        var clients = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => proxy.LoginAsync()));
        var victims = clients.Take(6).ToArray();
        using var enough = new CancellationTokenSource();
        var cancelled = 0;
        var working = clients.Select((client, i) => Task.Run(async () =>
        {
            for (var n = 0; !enough.IsCancellationRequested; n++)
            {
                var sql = $"SELECT {i * 1_000_000 + n}, pg_sleep(0.0{n % 4})";
                var reply = n % 2 == 0 ? await client.QueryAsync(sql) : await client.ExecuteAsync(sql);
                if (reply.SqlState == "57014" && i < victims.Length)
                {
                    Interlocked.Increment(ref cancelled);
                    continue;
                }

                Assert.That(reply.SqlState, Is.Null, $"client {i}, seed {seed}: {reply}");
                Assert.That(reply.Rows[0][0], Is.EqualTo($"{i * 1_000_000 + n}"), $"client {i}, seed {seed}");
            }
        })).ToArray();
        try
        {
            using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            while (Volatile.Read(ref cancelled) < 40 && !working.Any(w => w.IsCompleted))
            {
                deadline.Token.ThrowIfCancellationRequested();
                await victims[random.Next(victims.Length)].CancelAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
            }
        }
        finally
        {
            await enough.CancelAsync();
        }

        await Task.WhenAll(working);
    }

    private Task<ProxyUnderTest> StartAsync(Func<DataPathOptions, DataPathOptions> configure) => ProxyUnderTest.StartAsync(_cluster, TestCluster.Database, null, configure);

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (!condition())
        {
            deadline.Token.ThrowIfCancellationRequested();
            await Task.Delay(TimeSpan.FromMilliseconds(5), deadline.Token);
        }
    }
}
