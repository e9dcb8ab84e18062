using System.Globalization;
using NUnit.Framework;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects what drivers do with the process id they are told: it is <c>pg_backend_pid()</c> and the sender of notifications while the pool has
/// room, no two clients share one, and who is ended by it sees what PostgreSQL shows: FATAL 57P01 and the end of the connection.
/// </summary>
[TestFixture]
internal sealed class BackendIdentityTests : DataPathFixture
{
    protected override Placement Tables { get; } = new Placement().Sharded("placed", "id int4", "id");

    protected override string Ddl => "CREATE TABLE placed (id int PRIMARY KEY)";

    protected override int PoolSize => 12;

    [Test]
    public async Task EachClientIsItsOwnBackendWhileThereIsRoom()
    {
        var clients = await LoginAsync(5);
        Assert.That(clients.Select(c => c.ProcessId), Is.Unique);
        for (var round = 0; round < 3; round++)
        {
            foreach (var client in clients.OrderBy(c => c.ProcessId + round))
            {
                Assert.That(await PidAsync(client), Is.EqualTo(client.ProcessId));
            }
        }

        Dispose(clients);
    }

    [Test]
    public async Task ClientsBeyondThePoolAreServedAndHaveKeysOfTheirOwn()
    {
        var clients = await LoginAsync(30);
        Assert.That(clients.Select(c => c.ProcessId), Is.Unique);
        var replies = await Task.WhenAll(clients.Select(c => c.QueryAsync("SELECT pg_sleep(0.01)")));
        Assert.That(replies.Select(r => r.SqlState), Is.All.Null);
        Dispose(clients);
    }

    [Test]
    public async Task TheSenderOfANotificationIsTheClientItself()
    {
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync("LISTEN here");
        var reply = await client.QueryAsync("NOTIFY here, 'x'");
        var body = reply.Messages.Single(m => m.Type == 'A').Body;
        Assert.That(System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(body), Is.EqualTo(client.ProcessId));
    }

    [TestCase("SELECT pg_terminate_backend(pg_backend_pid())")]
    [TestCase("BEGIN; CREATE TEMP TABLE t (a int); SELECT pg_terminate_backend(pg_backend_pid())")]
    public async Task WhoEndsItselfSeesWhatPostgresShows(string sql)
    {
        var expected = await EndAsync(await DirectLoginAsync(0), sql);
        var actual = await EndAsync(await Proxy.LoginAsync(), sql);
        Assert.That(actual, Is.EqualTo(expected));
        Assert.That(expected, Has.Some.StartsWith("57P01"));
    }

    [Test]
    public async Task ATimeOutOfItsOwnEndsTheClient()
    {
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync("SET idle_in_transaction_session_timeout = 10");
        await client.QueryAsync("BEGIN");
        await client.QueryAsync("SELECT 1");
        await UntilAsync($"SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {client.ProcessId})");
        var end = await ToEndAsync(client, Query("SELECT 1"));
        Assert.That((end!.SqlState, end.Status), Is.EqualTo(("25P03", (char?)null)), end.ToString());
    }

    [Test]
    public async Task AVictimIsTold([Values("idle", "busy", "in a block", "listening", "extended")] string victimIs)
    {
        using var victim = await Proxy.LoginAsync();
        using var killer = await Proxy.LoginAsync();
        var busy = Task.FromResult<Transcript?>(null);
        switch (victimIs)
        {
            case "busy":
                busy = ToEndAsync(victim, Query("SELECT pg_sleep(30)"));
                await UntilAsync($"SELECT 1 FROM pg_stat_activity WHERE pid = {victim.ProcessId} AND wait_event = 'PgSleep'");
                break;
            case "extended":
                busy = ToEndAsync(victim, Parse("SELECT pg_sleep(30)"), Bind(), Execute(), Sync());
                await UntilAsync($"SELECT 1 FROM pg_stat_activity WHERE pid = {victim.ProcessId} AND wait_event = 'PgSleep'");
                break;
            case "in a block":
                await victim.QueryAsync("BEGIN");
                await victim.QueryAsync("SELECT 1");
                break;
            case "listening":
                await victim.QueryAsync("LISTEN here");
                break;
        }

        await killer.SendAsync(Parse("SELECT pg_terminate_backend($1)"), Bind("", values: victim.ProcessId.ToString(CultureInfo.InvariantCulture)), Execute(), Sync());
        Assert.That((await killer.ReadUntilReadyAsync()).Rows.Select(r => r[0]), Is.EqualTo(new[] { "t" }));
        var end = await busy ?? (victimIs == "listening" ? await ToEndAsync(victim) : await ToEndAsync(victim, Query("SELECT 1")));
        Assert.That((end!.SqlState, end.Status), Is.EqualTo(("57P01", (char?)null)), end.ToString());
        Assert.That(await PidAsync(killer), Is.EqualTo(killer.ProcessId));
    }

    // Its server is gone for a reason of its own: what it gets instead is nobody else's, or an end meant for that client would be its end.
    [Test]
    public async Task NobodyIsGivenTheServerOfAnotherWhileThereIsRoom()
    {
        await using var proxy = await StartProxyAsync();
        using var other = await proxy.LoginAsync();
        using var client = await proxy.LoginAsync();
        await DirectAsync(0, $"SELECT pg_terminate_backend({client.ProcessId})");
        await UntilAsync($"SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {client.ProcessId})");
        for (var round = 0; round < 3; round++)
        {
            Assert.That(await PidAsync(client), Is.Not.EqualTo(other.ProcessId));
            Assert.That(await PidAsync(other), Is.EqualTo(other.ProcessId));
        }
    }

    // The end of a backend takes effect when its process next runs. Whoever it stood for has gone meanwhile, and the server is anybody's.
    [Test]
    public async Task AnEndThatHasNotTakenEffectYetMeetsNobodyElse()
    {
        await using var proxy = await StartProxyAsync(poolSize: 2);
        using var killer = await proxy.LoginAsync();
        int victim;
        using (var leaver = await proxy.LoginAsync())
        {
            victim = leaver.ProcessId;
            await leaver.SendAsync(Terminate());
            Assert.That((await leaver.ReadUntilReadyAsync()).Status, Is.Null);
        }

        await SignalAsync("STOP", victim);
        try
        {
            Assert.That((await killer.QueryAsync($"SELECT pg_terminate_backend({victim})")).Rows.Single(), Is.EqualTo(new[] { "t" }));
            var late = proxy.LoginAsync();
            await WaitUntilAsync(() => proxy.Plane.Pools().Sum(p => p.Leased) == 1 || late.IsCompleted);
            await SignalAsync("CONT", victim);
            using var client = await late;
            var reply = await client.QueryAsync("SELECT 1");
            Assert.That((reply.SqlState, reply.Status), Is.EqualTo(((string?)null, 'I')), reply.ToString());
        }
        finally
        {
            await SignalAsync("CONT", victim);
        }
    }

    [Test]
    public async Task ACancelledClientKeepsItsTemporaryTables()
    {
        using var client = await Proxy.LoginAsync();
        await client.QueryAsync("CREATE TEMP TABLE kept (a int)");
        var running = client.QueryAsync("SELECT pg_sleep(30)");
        await UntilAsync($"SELECT 1 FROM pg_stat_activity WHERE pid = {client.ProcessId} AND wait_event = 'PgSleep'");
        await client.CancelAsync(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, Proxy.Port));
        Assert.That((await running).SqlState, Is.EqualTo("57014"));
        Assert.That((await client.QueryAsync("SELECT * FROM kept")).SqlState, Is.Null);
    }

    private static async Task<string[]> EndAsync(ScriptedClient client, string sql)
    {
        using (client)
        {
            var first = await ToEndAsync(client, Query(sql));
            return [.. first!.Errors.Select(e => $"{e.Field('C')} {e.Field('S')} {e.Field('M')}"), $"{first.Status}"];
        }
    }

    [Test]
    public async Task AWrongStartUpParameterIsFatal()
    {
        var told = new List<string>();
        foreach (var port in new[] { Cluster.Nodes[0].Port, Proxy.Port })
        {
            using var client = await ScriptedClient.ConnectAsync(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, port));
            var reply = await client.StartAsync(TestCluster.User, Database, TestCluster.Password, default, ("nothing_such", "1"));
            told.Add($"{reply.Errors.Single().Field('S')} {reply.Errors.Single().Field('V')} {reply.SqlState} {reply.Errors.Single().Field('M')} {reply.Status}");
        }

        Assert.That(told[1], Is.EqualTo(told[0]));
    }

    // Everything up to the end of the connection; a client that is not ended is asked once more.
    private static async Task<Transcript?> ToEndAsync(ScriptedClient client, params byte[][] messages)
    {
        if (messages.Length > 0)
        {
            await client.SendAsync(messages);
        }

        var reply = await client.ReadUntilReadyAsync();
        return reply.Status is null ? reply : await client.ReadUntilReadyAsync();
    }

    private async Task<ScriptedClient[]> LoginAsync(int count)
    {
        var clients = new List<ScriptedClient>();
        for (var i = 0; i < count; i++)
        {
            clients.Add(await Proxy.LoginAsync());
        }

        return [.. clients];
    }

    private static void Dispose(IEnumerable<ScriptedClient> clients)
    {
        foreach (var client in clients)
        {
            client.Dispose();
        }
    }

    private static async Task<int> PidAsync(ScriptedClient client) =>
        int.Parse((await client.QueryAsync("SELECT pg_backend_pid()")).Rows[0][0]!, CultureInfo.InvariantCulture);

    private static async Task WaitUntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!condition())
        {
            await Task.Delay(5, deadline.Token);
        }
    }

    // The servers run as another user than the tests may.
    private static async Task SignalAsync(string signal, int pid)
    {
        using var kill = System.Diagnostics.Process.Start("kill", ["-" + signal, pid.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    private async Task UntilAsync(string sql)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while ((await DirectAsync(0, sql)).Length == 0)
        {
            await Task.Delay(10, deadline.Token);
        }
    }
}
