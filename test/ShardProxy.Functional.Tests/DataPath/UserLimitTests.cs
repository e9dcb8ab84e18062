using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>Protects what one user may have that others may not: connections, and time. A limit holds for that user alone, and RELOAD brings it to who is there already.</summary>
[TestFixture]
internal sealed class UserLimitTests
{
    private const string Other = "limited_user";
    private const string Password = "limited-secret";
    private TestCluster _cluster = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _cluster = await SharedCluster.GetAsync();
        await _cluster.ExecuteOnAllAsync($"DROP ROLE IF EXISTS {Other}; CREATE ROLE {Other} LOGIN PASSWORD '{Password}'");
    }

    [OneTimeTearDown]
    public Task StopAsync() => _cluster.ExecuteOnAllAsync($"DROP ROLE IF EXISTS {Other}");

    [Test]
    public async Task ConnectionsOfAUserAreCounted()
    {
        await using var proxy = await StartAsync(o => o with { UserLimits = Only(UserLimits.None with { MaxConnections = 2 }) });
        using var first = await LoginAsync(proxy);
        using (var second = await LoginAsync(proxy))
        {
            var refused = await RefusedAsync(proxy, Other, Password);
            Assert.That((refused.SqlState, refused.Errors.Single().Field('D'), refused.Errors.Single().Field('S')), Is.EqualTo(("53300", "SHP-113", "FATAL")), refused.ToString());

            // Who does not know the password does not learn how many there are; others are not concerned.
            Assert.That((await RefusedAsync(proxy, Other, "wrong")).SqlState, Is.EqualTo("28P01"));
            using var different = await proxy.LoginAsync();
            await second.TerminateAsync();
        }

        await UntilAsync(() => proxy.Plane.Sessions().Count(s => s.User == Other) == 1);
        using var third = await LoginWhenFreeAsync(proxy);
        Assert.That((await third.QueryAsync("SELECT 1")).SqlState, Is.Null);
    }

    [Test]
    public async Task ALimitForAllHoldsForEachAndANewOneCountsWhoIsThere()
    {
        await using var proxy = await StartAsync(o => o);
        using var one = await proxy.LoginAsync();
        using var two = await proxy.LoginAsync();
        proxy.Plane.Apply(proxy.Options with { MaxUserConnections = 2 });
        Assert.That((await RefusedAsync(proxy, TestCluster.User, TestCluster.Password)).Errors.Single().Field('D'), Is.EqualTo("SHP-113"));
        using var other = await LoginAsync(proxy);
        proxy.Plane.Apply(proxy.Options with { MaxDatabaseConnections = 3 });
        var refused = await RefusedAsync(proxy, TestCluster.User, TestCluster.Password);
        Assert.That((refused.SqlState, refused.Errors.Single().Field('D')), Is.EqualTo(("53300", "SHP-114")));
        Assert.That((await one.QueryAsync("SELECT 1")).SqlState, Is.Null, "who is there stays");
        proxy.Plane.Apply(proxy.Options with { MaxDatabaseConnections = 3, UserLimits = Only(UserLimits.None with { MaxConnections = 0 }) });
        Assert.That((await RefusedAsync(proxy, Other, Password)).Errors.Single().Field('D'), Is.EqualTo("SHP-114"), "any number of the user, not of the database");
    }

    [Test]
    public async Task AUsersTimeOutsAreItsOwn()
    {
        var soon = TimeSpan.FromMilliseconds(300);
        await using var proxy = await StartAsync(o => o with
        {
            UserLimits = Only(new UserLimits(null, soon, soon, TimeSpan.Zero)),
            ClientIdleTimeout = soon,
        });
        using var limited = await LoginAsync(proxy);
        var reply = await limited.QueryAsync("SELECT pg_sleep(30)");
        Assert.That((reply.SqlState, reply.Errors.Single().Field('D')?[..7]), Is.EqualTo(("57014", "SHP-143")), reply.ToString());
        using var free = await proxy.LoginAsync();
        Assert.That((await free.QueryAsync("SELECT pg_sleep(0.7)")).SqlState, Is.Null, "another user's statement was ended");

        // The other user is sent away when idle, this one is not: 0 means never for it.
        Assert.That((await free.ReadUntilReadyAsync()).SqlState, Is.EqualTo("57P05"));
        Assert.That((await limited.QueryAsync("BEGIN; SELECT 1")).SqlState, Is.Null);
        Assert.That((await limited.ReadUntilReadyAsync()).SqlState, Is.EqualTo("25P03"));
    }

    private static Dictionary<string, UserLimits> Only(UserLimits limits) => new(StringComparer.Ordinal) { [Other] = limits };

    private static Task<ScriptedClient> LoginAsync(ProxyUnderTest proxy) => ScriptedClient.LoginAsync(proxy.Port, Other, proxy.Database, Password);

    // The server's side of a client that has left ends a moment later.
    private static async Task<ScriptedClient> LoginWhenFreeAsync(ProxyUnderTest proxy)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (true)
        {
            try
            {
                return await LoginAsync(proxy);
            }
            catch (Exception) when (!deadline.IsCancellationRequested)
            {
            }
        }
    }

    private static async Task<Transcript> RefusedAsync(ProxyUnderTest proxy, string user, string password)
    {
        using var client = await ScriptedClient.ConnectAsync(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, proxy.Port));
        return await client.StartAsync(user, proxy.Database, password);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (!condition())
        {
            deadline.Token.ThrowIfCancellationRequested();
            await Task.Delay(TimeSpan.FromMilliseconds(5), deadline.Token);
        }
    }

    private Task<ProxyUnderTest> StartAsync(Func<DataPathOptions, DataPathOptions> configure) => ProxyUnderTest.StartAsync(
        _cluster, TestCluster.Database, null, o => configure(o with { Users = [.. o.Users, new UserCredential(Other, Password, IsAdmin: false)] }));
}
