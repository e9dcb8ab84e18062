using System.Net;
using System.Net.Sockets;
using System.Text;
using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.Model.Views;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects the bounds of server pools: who waits is served in order, for a bounded time and in a bounded line, with figures when it is
/// refused; connections are opened, kept, tested, replaced and closed as configured; a node that is away is neither stormed nor given up.
/// </summary>
[TestFixture]
internal sealed class PoolTests
{
    [Test]
    public async Task TheLineIsFirstComeFirstServed()
    {
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home, o => o with { PoolSize = 1 });
        using var holder = await proxy.LoginAsync();
        var clients = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => proxy.LoginAsync()));
        await HoldAsync(holder);
        for (var i = 0; i < clients.Length; i++)
        {
            await clients[i].SendAsync(Query($"SELECT {i}"));
            await UntilAsync(() => Pool(proxy).Waiting == i + 1);
        }

        await holder.QueryAsync("COMMIT");
        foreach (var client in clients)
        {
            Assert.That((await client.ReadUntilReadyAsync()).ToString(), Is.EqualTo("C[OK]\nZ[I]"));
        }

        Assert.That(Texts(home).Where(t => t.StartsWith("SELECT ", StringComparison.Ordinal) && t != "SELECT held" && !t.Contains("pg_catalog", StringComparison.Ordinal)), Is.EqualTo(Enumerable.Range(0, 6).Select(i => $"SELECT {i}")));
        Assert.That(home.Logins, Is.EqualTo(1), "the pool was exceeded");
    }

    // Otherwise it is served by another server than the one its process id stands for, whenever somebody logs in at the same time.
    [Test]
    public async Task WhoHasAServerOfItsOwnDoesNotWaitForThoseWhoseServersAreBeingOpened()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var home = FakeBackend.Start(new FakeBackendOptions { LoginGate = gate.Task, LoginGateFrom = 2 });
        await using var proxy = await StartAsync(home, o => o with { PoolSize = 3 });
        using var client = await proxy.LoginAsync();
        var late = proxy.LoginAsync();
        await UntilAsync(() => Pool(proxy).Waiting == 1);
        var answer = client.QueryAsync("SELECT 1");
        await UntilAsync(() => answer.IsCompleted || Pool(proxy).Waiting == 2);
        Assert.That(Pool(proxy).Waiting, Is.EqualTo(1), "the client waits behind another");
        Assert.That((await answer).SqlState, Is.Null);
        gate.SetResult();
        (await late).Dispose();
    }

    [Test]
    public async Task WhoWaitsTooLongOrInTooLongALineIsToldTheFigures()
    {
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home, o => o with { PoolSize = 1, PoolMaxWaiting = 1, PoolWait = TimeSpan.FromMilliseconds(400) });
        using var holder = await proxy.LoginAsync();
        using var first = await proxy.LoginAsync();
        using var second = await proxy.LoginAsync();
        await HoldAsync(holder);
        await first.SendAsync(Query("SELECT 1"));
        await UntilAsync(() => Pool(proxy).Waiting == 1);
        var refused = await second.ExecuteAsync("SELECT 2");
        Assert.That((refused.SqlState, refused.Status), Is.EqualTo(("53300", 'I')));
        Assert.That(refused.Errors.Single().Field('D'), Does.StartWith("SHP-140").And.Contains("pool of 1").And.Contains("1 in use, 0 idle, 0 opening, 1 waiting"));
        var late = await first.ReadUntilReadyAsync();
        Assert.That((late.SqlState, late.Status), Is.EqualTo(("53300", 'I')));
        Assert.That(late.Errors.Single().Field('D'), Does.StartWith("SHP-301").And.Contains("1 in use").And.Contains("the longest for"));
        Assert.That(Pool(proxy), Has.Property(nameof(PoolSnapshot.Timeouts)).EqualTo(2).And.Property(nameof(PoolSnapshot.Waiting)).EqualTo(0));
        await holder.QueryAsync("COMMIT");
        Assert.That((await second.QueryAsync("SELECT 3")).SqlState, Is.Null);
        Assert.That(Texts(home), Has.None.EqualTo("SELECT 1").And.None.EqualTo("SELECT 2"));
    }

    [Test]
    public async Task AClientThatLeavesTheLineIsNotServed()
    {
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home, o => o with { PoolSize = 1 });
        using var holder = await proxy.LoginAsync();
        var leaver = await proxy.LoginAsync();
        await HoldAsync(holder);
        await leaver.SendAsync(Query("SELECT left"));
        await UntilAsync(() => Pool(proxy).Waiting == 1);
        leaver.Dispose();
        await UntilAsync(() => Pool(proxy).Waiting == 0);
        await holder.QueryAsync("COMMIT");
        Assert.That((await holder.QueryAsync("SELECT 1")).SqlState, Is.Null);
        Assert.That(Texts(home), Has.None.EqualTo("SELECT left"));
    }

    [Test]
    public async Task TheReserveIsForThoseWhoHaveWaitedLong()
    {
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home, o => o with { PoolSize = 1, PoolReserve = 1, PoolReserveAfter = TimeSpan.FromMilliseconds(300) });
        using var holder = await proxy.LoginAsync();
        using var client = await proxy.LoginAsync();
        await HoldAsync(holder);
        Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null);
        Assert.That(Pool(proxy).MaxWaitMs, Is.GreaterThan(250), "the reserve was used at once");
        await UntilAsync(() => Pool(proxy) is { ReserveInUse: 0, Leased: 1 } && home.OpenConnections == 1);
        await holder.QueryAsync("COMMIT");
    }

    [Test]
    public async Task TheMinimumIsKeptOpen()
    {
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home, o => o with { PoolMinimum = 3 });
        using var client = await proxy.LoginAsync();
        await UntilAsync(() => home.OpenConnections == 3);
        home.CutAll();
        await UntilAsync(() => home is { OpenConnections: 3, Logins: 6 });
        Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null);
    }

    [Test]
    public async Task IdleAndOldConnectionsAreClosed()
    {
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var idle = await StartAsync(home, o => o with { PoolIdleTimeout = TimeSpan.FromMilliseconds(300) });
        var clients = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => idle.LoginAsync()));
        await Task.WhenAll(clients.Select(HoldAsync));

        // A client may be served before the connection that was opened for it is ready: that one is spare.
        Assert.That(Pool(idle).Leased, Is.EqualTo(5));
        await Task.WhenAll(clients.Select(c => c.QueryAsync("COMMIT")));
        await UntilAsync(() => home.OpenConnections == 0);
        Assert.That((await clients[0].QueryAsync("SELECT 1")).SqlState, Is.Null);
        Assert.That(Pool(idle), Has.Property(nameof(PoolSnapshot.Closed)).GreaterThanOrEqualTo(5));

        await using var old = await StartAsync(home, o => o with { PoolLifetime = TimeSpan.FromMilliseconds(200) });
        using var client = await old.LoginAsync();
        var logins = home.Logins;
        await UntilAsync(() =>
        {
            // Used again and again, never idle for long: it is replaced all the same, and nobody notices.
            Assert.That(client.QueryAsync("SELECT 1").GetAwaiter().GetResult().SqlState, Is.Null);
            return home.Logins >= logins + 3;
        });
    }

    [Test]
    public async Task AllPoolsOfANodeShareItsBound()
    {
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home, o => o with { NodeMaxConnections = 2 });
        var databases = new[] { "a", "b", "c", "d" };
        var clients = new List<ScriptedClient>();
        foreach (var database in databases)
        {
            // Idle connections of the others make room.
            clients.Add(await ScriptedClient.LoginAsync(proxy.Port, "app", database, "app-secret"));
            Assert.That((await clients[^1].QueryAsync("SELECT 1")).SqlState, Is.Null, database);
            Assert.That(proxy.Plane.Pools().Sum(p => p.Idle + p.Leased), Is.LessThanOrEqualTo(2));
        }

        await HoldAsync(clients[0]);
        await HoldAsync(clients[1]);
        await clients[2].SendAsync(Query("SELECT 2"));
        await clients[3].SendAsync(Query("SELECT 3"));
        await UntilAsync(() => proxy.Plane.Pools().Sum(p => p.Waiting) == 2);
        await clients[0].QueryAsync("COMMIT");
        Assert.That((await clients[2].ReadUntilReadyAsync()).SqlState, Is.Null);
        Assert.That((await clients[3].ReadUntilReadyAsync()).SqlState, Is.Null);
        await clients[1].QueryAsync("COMMIT");
        clients.ForEach(c => c.Dispose());
    }

    [Test]
    public async Task PoolsAreBoundedAndUnusedOnesMakeRoom()
    {
        await using var home = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home, o => o with { MaxPools = 2 });
        using var first = await ScriptedClient.LoginAsync(proxy.Port, "app", "a", "app-secret");
        using var second = await ScriptedClient.LoginAsync(proxy.Port, "app", "b", "app-secret");
        await HoldAsync(first);
        await HoldAsync(second);
        using (var third = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port)))
        {
            var refused = await third.StartAsync("app", "c", "app-secret");
            Assert.That(refused.SqlState, Is.EqualTo("53300"), refused.ToString());
            Assert.That(refused.Errors.Single().Field('D'), Does.StartWith("SHP-142"));
        }

        await first.QueryAsync("COMMIT");
        using var later = await ScriptedClient.LoginAsync(proxy.Port, "app", "c", "app-secret");
        Assert.That((await later.QueryAsync("SELECT 1")).SqlState, Is.Null);

        // The pool that made room is made anew.
        await second.QueryAsync("COMMIT");
        Assert.That((await first.QueryAsync("SELECT 1")).SqlState, Is.Null);
    }

    [Test]
    public async Task AConnectionThatWasIdleForLongIsTestedBeforeItIsUsed()
    {
        var never = new TaskCompletionSource();
        var isSilent = 1;
        await using var home = FakeBackend.Start(text => text == ";" && Interlocked.Exchange(ref isSilent, 0) == 1 ? FakeReply.Stall(never.Task) : FakeReply.Command("OK"));
        await using var proxy = await StartAsync(home, o => o with { PoolCheckAfterIdle = TimeSpan.FromMilliseconds(1), ServerConnectTimeout = TimeSpan.FromMilliseconds(500) });
        using var client = await proxy.LoginAsync();
        await UntilAsync(() =>
        {
            Assert.That(client.QueryAsync("INSERT INTO plain VALUES (1)").GetAwaiter().GetResult().SqlState, Is.Null);
            return Volatile.Read(ref isSilent) == 0 && home.Logins >= 2;
        });
        Assert.That(Texts(home).Last(t => t != ";"), Is.EqualTo("INSERT INTO plain VALUES (1)"));
        never.SetResult();
    }

    [Test]
    public async Task ARefusedLoginIsTheClientsAtOnceAndAServerThatStartsIsWaitedFor()
    {
        await using var refusing = FakeBackend.Start(new FakeBackendOptions { LoginError = ("28000", "role \"app\" is not permitted to log in") });
        await using var proxy = await StartAsync(refusing, o => o);
        using (var client = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port)))
        {
            Assert.That((await client.StartAsync("app", "app", "app-secret")).SqlState, Is.EqualTo("28000"));
        }

        Assert.That(refusing.Logins, Is.EqualTo(1), "a refusal was repeated");

        await using var starting = FakeBackend.Start(new FakeBackendOptions { LoginError = ("57P03", "the database system is starting up") });
        await using var patient = await StartAsync(starting, o => o with { PoolWait = TimeSpan.FromSeconds(1), NodeDownWait = TimeSpan.Zero });
        using var waiting = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, patient.Port));
        var reply = await waiting.StartAsync("app", "app", "app-secret");
        Assert.That(reply.SqlState, Is.EqualTo("57P03"));
        Assert.That(reply.Errors.Single().Field('D'), Does.StartWith("SHP-141").And.Contains("the database system is starting up"));
        Assert.That(starting.Logins, Is.InRange(2, 20), "one try is no wait, many are a storm");
    }

    [Test]
    public async Task ADeadNodeMeetsNoStorm()
    {
        var attempts = 0;
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var accepting = Task.Run(async () =>
        {
            try
            {
                while (true)
                {
                    using var accepted = await listener.AcceptAsync();
                    Interlocked.Increment(ref attempts);
                }
            }
            catch (SocketException)
            {
                // The test is over.
            }
        });
        await using (var proxy = await ProxyUnderTest.StartAsync([(IPEndPoint)listener.LocalEndPoint!], "app", null, o => o with { NodeDownWait = TimeSpan.FromSeconds(1) }))
        {
            var replies = await Task.WhenAll(Enumerable.Range(0, 40).Select(async _ =>
            {
                using var client = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
                return await client.StartAsync("app", "app", "app-secret");
            }));
            Assert.That(replies.Select(r => r.SqlState), Is.All.EqualTo("08001"));
            Assert.That(replies.Select(r => r.Errors.Single().Field('D')), Is.All.StartsWith("SHP-303"));

            // The first come together, before it is known; from then on it is one at a time.
            Assert.That(attempts, Is.InRange(3, 20 + 15));
        }

        listener.Dispose();
        await accepting;
    }

    private static Task<ProxyUnderTest> StartAsync(FakeBackend home, Func<DataPathOptions, DataPathOptions> configure) => ProxyUnderTest.StartAsync([home.EndPoint], "app", null, configure);

    private static PoolSnapshot Pool(ProxyUnderTest proxy) => proxy.Plane.Pools().Single();

    private static async Task HoldAsync(ScriptedClient client)
    {
        await client.QueryAsync("BEGIN");
        Assert.That((await client.QueryAsync("SELECT held")).SqlState, Is.Null);
    }

    private static List<string> Texts(FakeBackend backend) => [.. backend.Received.Where(m => m.Type == 'Q').Select(m => Encoding.UTF8.GetString(m.Body).TrimEnd('\0'))];

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
