using System.Globalization;
using System.Net;
using NUnit.Framework;
using ShardProxy.Admin.Metrics;
using ShardProxy.DataPath;
using ShardProxy.DataPath.Servers;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects the figures by which an operator sees that a limit was reached, somebody waited or a node is away: each event counts once, under its own
/// label, and a counter never goes down, not even when what it counted for is gone.
/// </summary>
[TestFixture]
internal sealed class MetricValueTests
{
    private const int Clients = 3;

    [Test]
    public async Task WhoWaitedAndWhoGaveUpIsCountedBeyondThePoolsEnd()
    {
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home, o => o with
        {
            PoolSize = 1,
            MaxPools = 1,
            PoolWait = TimeSpan.FromMilliseconds(300),
            Users = [.. o.Users, new UserCredential("other", "other-secret", IsAdmin: false)],
        });
        using var metrics = new Scrape(proxy);
        using (var holder = await proxy.LoginAsync())
        using (var client = await proxy.LoginAsync())
        {
            // Not one of both: extended and simple queries are leased for in different places.
            await holder.QueryAsync("BEGIN; SELECT 1");
            Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.EqualTo("53300"));
            Assert.That((await client.ExecuteAsync("SELECT 1")).SqlState, Is.EqualTo("53300"));
            Assert.That(metrics["shardproxy_pool_timeouts_total{node=\"node1\"}"], Is.EqualTo(2));
            Assert.That(metrics["shardproxy_pool_wait_seconds_total{node=\"node1\"}"], Is.InRange(0.6, 20));
            proxy.Plane.Apply(proxy.Options with { PoolMaxWaiting = 0 });
            Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.EqualTo("53300"));
            Assert.That(metrics["shardproxy_pool_timeouts_total{node=\"node1\"}"], Is.EqualTo(3), "who does not even join the line has not got a server either");
            proxy.Plane.Apply(proxy.Options);
            await holder.QueryAsync("COMMIT");
        }

        await UntilAsync(() => proxy.Plane.SessionCount == 0);
        using var other = await ScriptedClient.LoginAsync(proxy.Port, "other", "app", "other-secret");
        Assert.That(proxy.Plane.Pools().Single().User, Is.EqualTo("other"), "the first pool has made room");
        Assert.That(metrics["shardproxy_pool_timeouts_total{node=\"node1\"}"], Is.EqualTo(3));
        Assert.That(metrics["shardproxy_pool_wait_seconds_total{node=\"node1\"}"], Is.InRange(0.6, 20));
    }

    [Test]
    public async Task LimitsThatSomebodyReachedAreCountedByTheirCode()
    {
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home, o => o with { MaxUserConnections = Clients, MaxPreparedBytesPerClient = 1_000 });
        using var metrics = new Scrape(proxy);
        var clients = await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => proxy.LoginAsync()));
        Assert.That((await RefusedAsync(proxy, TestCluster.Password)).SqlState, Is.EqualTo("53300"));
        Assert.That((await RefusedAsync(proxy, TestCluster.Password)).SqlState, Is.EqualTo("53300"));
        Assert.That((await RefusedAsync(proxy, "wrong")).SqlState, Is.EqualTo("28P01"));
        await clients[0].SendAsync(Parse("SELECT 1".PadRight(2_000), "large"), Sync());
        Assert.That((await clients[0].ReadUntilReadyAsync()).SqlState, Is.EqualTo("54000"));
        Assert.Multiple(() =>
        {
            Assert.That(metrics["shardproxy_rejected_logins_total{code=\"SHP-113\"}"], Is.EqualTo(2));
            Assert.That(metrics["shardproxy_rejected_logins_total{code=\"SHP-106\"}"], Is.EqualTo(1));
            Assert.That(metrics["shardproxy_refused_statements_total{code=\"SHP-112\"}"], Is.EqualTo(1));
            Assert.That(metrics["shardproxy_sessions_opened_total"], Is.EqualTo(Clients));
        });
        Array.ForEach(clients, c => c.Dispose());
    }

    [Test]
    public async Task TimeOutsAreCountedOnceByTheirKind()
    {
        await using var home = FakeBackend.Start(sql => FakeReply.Command(sql == "BEGIN" ? "BEGIN" : "OK"));
        await using var proxy = await StartAsync(home, o => o);
        using var metrics = new Scrape(proxy);
        string[] kinds = ["statement", "idle_in_transaction", "client_idle", "login"];
        Assert.That(kinds.Select(k => metrics[$"shardproxy_timeouts_total{{kind=\"{k}\"}}"]), Is.All.Zero, "there before the first event");
        var soon = TimeSpan.FromMilliseconds(100);
        using var idle = await proxy.LoginAsync();
        using var inBlock = await proxy.LoginAsync();
        await inBlock.QueryAsync("BEGIN");
        await inBlock.QueryAsync("SELECT 1");
        proxy.Plane.Apply(proxy.Options with { ClientIdleTimeout = soon, IdleInTransactionTimeout = soon, LoginTimeout = soon });
        using var mute = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
        Assert.That((await idle.ReadUntilReadyAsync()).SqlState, Is.EqualTo("57P05"));
        Assert.That((await inBlock.ReadUntilReadyAsync()).SqlState, Is.EqualTo("25P03"));
        await mute.ReadUntilReadyAsync();
        await UntilAsync(() => metrics["shardproxy_timeouts_total{kind=\"login\"}"] > 0);
        Assert.That(kinds.Select(k => metrics[$"shardproxy_timeouts_total{{kind=\"{k}\"}}"]), Is.EqualTo(new double[] { 0, 1, 1, 1 }));
    }

    [Test]
    public async Task ANodeThatIsAwayIsSeenByItsAttemptsAndByTheDelayOfTheNext()
    {
        var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home, o => o with { NodeDownWait = TimeSpan.FromMilliseconds(200) });
        using var metrics = new Scrape(proxy);
        using var client = await proxy.LoginAsync();
        Assert.That((Attempts(), Failures(), Delay()), Is.EqualTo((1.0, 0.0, 0.0)));

        await home.DisposeAsync();
        Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.AnyOf("08001", "08006"));
        await UntilAsync(() => Delay() > 0.1);
        Assert.That(Delay(), Is.LessThanOrEqualTo(1), "the longest pause");
        var failures = Failures();
        Assert.That(failures, Is.AtLeast(2));
        Assert.That(Attempts(), Is.InRange(failures + 1, failures + 2), "one at a time, besides the first that was good");
        double Attempts() => metrics["shardproxy_connect_attempts_total{node=\"node1\"}"];
        double Failures() => metrics["shardproxy_connect_failures_total{node=\"node1\"}"];
        double Delay() => metrics["shardproxy_connect_retry_delay_seconds{node=\"node1\"}"];
    }

    [Test]
    public void TheDelayEndsWithTheFirstAttemptThatIsAnswered()
    {
        var link = new NodeLink("node1", new LiveOptions(new DataPathOptions { ProxyId = "t1", Listen = new IPEndPoint(IPAddress.Loopback, 0), Database = "app", Users = [] }), TimeProvider.System, new Random(1));
        var away = new ServerUnavailableException(PoolErrors.Unreachable("node1", "The operating system says no."));
        for (var i = 0; i < 8; i++)
        {
            link.Failed(away);
        }

        Assert.That(link.RetryDelay, Is.InRange(TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(1)));
        link.Succeeded();
        Assert.That((link.RetryDelay, link.Failures), Is.EqualTo((TimeSpan.Zero, 8L)));
    }

    private static Task<ProxyUnderTest> StartAsync(FakeBackend home, Func<DataPathOptions, DataPathOptions> configure) => ProxyUnderTest.StartAsync([home.EndPoint], "app", null, configure);

    private static async Task<Transcript> RefusedAsync(ProxyUnderTest proxy, string password)
    {
        using var client = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
        return await client.StartAsync(TestCluster.User, "app", password);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!condition())
        {
            deadline.Token.ThrowIfCancellationRequested();
            await Task.Delay(TimeSpan.FromMilliseconds(5), deadline.Token);
        }
    }

    /// <summary>What Prometheus would be told of one proxy.</summary>
    private sealed class Scrape(ProxyUnderTest proxy) : IDisposable
    {
        private readonly MetricCollector _collector = new(m => ReferenceEquals(m, proxy.Plane.Meter));

        /// <summary>The value of a series, by its name and labels as they are written.</summary>
        public double this[string series]
        {
            get
            {
                using var text = new StringWriter(CultureInfo.InvariantCulture);
                _collector.Write(text);
                var line = text.ToString().Split('\n').SingleOrDefault(l => l.StartsWith(series + " ", StringComparison.Ordinal));
                return line is null ? double.NaN : double.Parse(line[(series.Length + 1)..], CultureInfo.InvariantCulture);
            }
        }

        public void Dispose() => _collector.Dispose();
    }
}
