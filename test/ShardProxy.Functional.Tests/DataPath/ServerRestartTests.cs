using NUnit.Framework;
using ShardProxy.LocalCluster;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects idle clients from what happens to real servers: a restart, a crash, terminated and killed backends, a node that comes back. The
/// next statement of a client that was not in a transaction simply works, reads and writes, simple and extended.
/// </summary>
[TestFixture]
internal sealed class ServerRestartTests
{
    private const int Clients = 12;

    private TestCluster _cluster = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _cluster = await TestCluster.StartAsync();
        await _cluster.ExecuteAsync(0, "CREATE TABLE noted (who int, mark text)");
    }

    [OneTimeTearDown]
    public async Task StopAsync() => await _cluster.DisposeAsync();

    [TestCase(StopMode.Fast)]
    [TestCase(StopMode.Immediate)]
    [TestCase(StopMode.Kill)]
    public async Task AnIdleClientDoesNotNoticeARestart(StopMode mode)
    {
        await using var proxy = await ProxyUnderTest.StartAsync(_cluster, TestCluster.Database);
        var clients = await LoginAsync(proxy);
        await _cluster.Nodes[0].RestartAsync(mode);
        await EachWritesOnceAsync(clients);
    }

    [Test]
    public async Task AStatementWaitsWhileTheServerRestarts()
    {
        await using var proxy = await ProxyUnderTest.StartAsync(_cluster, TestCluster.Database, null, o => o with { NodeDownWait = TimeSpan.FromSeconds(30) });
        var clients = await LoginAsync(proxy);
        await _cluster.Nodes[0].StopAsync();
        await UntilAsync(() => proxy.Plane.Pools().Sum(p => p.Idle) == 0);
        var writing = EachWritesOnceAsync(clients);
        await UntilAsync(() => proxy.Plane.Pools().Sum(p => p.Waiting) == Clients);
        await _cluster.Nodes[0].StartAsync();
        await writing;
    }

    [Test]
    public async Task ANodeThatWasGivenUpIsFoundAgain()
    {
        await using var proxy = await ProxyUnderTest.StartAsync(_cluster, TestCluster.Database, null, o => o with { NodeDownWait = TimeSpan.Zero });
        using var client = await proxy.LoginAsync();
        await _cluster.Nodes[0].StopAsync();
        await UntilAsync(() => proxy.Plane.Pools().Sum(p => p.Idle) == 0);
        Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.EqualTo("08001"));
        await _cluster.Nodes[0].StartAsync();
        await UntilAsync(() => client.QueryAsync("SELECT 1").GetAwaiter().GetResult().SqlState is null);
    }

    [Test]
    public async Task TerminatedBackendsAreNobodysProblem()
    {
        await using var proxy = await ProxyUnderTest.StartAsync(_cluster, TestCluster.Database);
        var clients = await LoginAsync(proxy);
        for (var round = 0; round < 5; round++)
        {
            using var administrator = await ScriptedClient.LoginAsync(_cluster.Nodes[0].Port, TestCluster.User, TestCluster.Database, TestCluster.Password);
            await administrator.QueryAsync("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name LIKE 'shardproxy/t1%'");
            await EachWritesOnceAsync(clients);
        }
    }

    [Test]
    public async Task AClientInATransactionIsToldAndCanGoOn()
    {
        await using var proxy = await ProxyUnderTest.StartAsync(_cluster, TestCluster.Database);
        using var client = await proxy.LoginAsync();
        await client.QueryAsync("BEGIN");
        await client.QueryAsync("INSERT INTO noted (who) VALUES (1000)");
        await _cluster.Nodes[0].RestartAsync();
        var lost = await client.QueryAsync("INSERT INTO noted (who) VALUES (1000)");
        Assert.That((lost.SqlState, lost.Status), Is.EqualTo(("08006", 'E')), lost.ToString());
        Assert.That((await client.QueryAsync("COMMIT")).Tags, Is.EqualTo(new[] { "ROLLBACK" }));
        Assert.That((await client.QueryAsync("INSERT INTO noted (who) VALUES (1001)")).SqlState, Is.Null);
        Assert.That((await client.QueryAsync("SELECT who FROM noted WHERE who >= 1000")).Rows.Select(r => r[0]), Is.EqualTo(new[] { "1001" }));
    }

    private static async Task<ScriptedClient[]> LoginAsync(ProxyUnderTest proxy)
    {
        var clients = await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => proxy.LoginAsync()));
        foreach (var reply in await Task.WhenAll(clients.Select(c => c.QueryAsync("SELECT pg_sleep(0.05)"))))
        {
            Assert.That(reply.SqlState, Is.Null, reply.ToString());
        }

        return clients;
    }

    private async Task EachWritesOnceAsync(ScriptedClient[] clients)
    {
        var mark = Guid.NewGuid().ToString("n");
        var replies = await Task.WhenAll(clients.Select((c, i) => i % 2 == 0
            ? c.QueryAsync($"INSERT INTO noted (who, mark) VALUES ({i}, '{mark}') RETURNING who")
            : c.ExecuteAsync($"INSERT INTO noted (who, mark) VALUES ({i}, '{mark}') RETURNING who")));
        Assert.That(replies.Select(r => r.SqlState), Is.All.Null, string.Join('\n', replies.Select(r => r.ToString())));
        using var counting = await ScriptedClient.LoginAsync(_cluster.Nodes[0].Port, TestCluster.User, TestCluster.Database, TestCluster.Password);
        var rows = (await counting.QueryAsync($"SELECT who FROM noted WHERE mark = '{mark}' ORDER BY who")).Rows.Select(r => r[0]);
        Assert.That(rows, Is.EqualTo(Enumerable.Range(0, clients.Length).Select(i => $"{i}")), "a write was lost or applied twice");
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(15));
        while (!condition())
        {
            deadline.Token.ThrowIfCancellationRequested();
            await Task.Delay(TimeSpan.FromMilliseconds(10), deadline.Token);
        }
    }
}
