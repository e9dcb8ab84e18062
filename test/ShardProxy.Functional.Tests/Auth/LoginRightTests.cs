using System.Globalization;
using System.Net;
using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.Functional.Tests.DataPath;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.Auth;

/// <summary>
/// Protects the node's say in who logs in: a user whom the proxy knows, but whom PostgreSQL would not let in (any more), gets PostgreSQL's own error at
/// the log-in, whether or not a pooled connection of that user is still open. Who is in stays in.
/// </summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class LoginRightTests : AuthFixture
{
    private string _role = null!;

    private string OwnDatabase => "d_" + _role;

    [SetUp]
    public async Task CreateAsync()
    {
        _role = "u_" + Guid.NewGuid().ToString("n", CultureInfo.InvariantCulture)[..12];
        await Cluster.ExecuteAsync(0, $"CREATE ROLE {_role} LOGIN PASSWORD 'secret'");
        await Cluster.ExecuteAsync(0, $"CREATE DATABASE {OwnDatabase}");
    }

    [TearDown]
    public async Task DropAsync()
    {
        await StopProxiesAsync();
        await Cluster.ExecuteAsync(0, $"DROP DATABASE {OwnDatabase} WITH (FORCE)");
        await Cluster.ExecuteAsync(0, $"DROP ROLE IF EXISTS {_role}");
    }

    [TestCase("ALTER ROLE {0} NOLOGIN", "28000")]
    [TestCase("ALTER ROLE {0} VALID UNTIL '2020-01-01'", "28P01")]
    [TestCase("DROP ROLE {0}", "28P01")]
    [TestCase("REVOKE CONNECT ON DATABASE d_{0} FROM PUBLIC", "42501")]
    [TestCase("ALTER DATABASE d_{0} ALLOW_CONNECTIONS false", "55000")]
    public async Task WhoMayNotLogInThereMayNotHere(string ddl, string sqlState)
    {
        foreach (var hasPool in new[] { true, false })
        {
            var proxy = await StartAsync(o => o with { Users = [.. o.Users, new UserCredential(_role, "secret", IsAdmin: false)] });
            using var client = await ConnectAsync(proxy);
            if (hasPool)
            {
                Assert.That((await client.StartAsync(_role, OwnDatabase, "secret")).Status, Is.EqualTo('I'));
                await Cluster.ExecuteAsync(0, string.Format(CultureInfo.InvariantCulture, ddl, _role));
            }

            using var direct = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Cluster.Nodes[0].Port));
            var expected = (await direct.StartAsync(_role, OwnDatabase, "secret")).Errors.Single();
            Assert.That(expected.Field('C'), Is.EqualTo(sqlState), "what PostgreSQL says");

            // What a pooled connection has shown is believed for a moment.
            Transcript reply = null!;
            await Waiting.UntilAsync(async () => (reply = await LogInAsync(proxy)).Status is null);
            var told = reply.Errors.Single();
            Assert.That(
                new[] { 'S', 'V', 'C', 'M', 'D' }.Select(told.Field), Is.EqualTo(new[] { 'S', 'V', 'C', 'M', 'D' }.Select(expected.Field)), $"pool: {hasPool}");
            if (hasPool && sqlState != "28P01")
            {
                Assert.That((await client.QueryAsync("SELECT 1")).Rows[0][0], Is.EqualTo("1"), "who is in stays in");
            }
        }
    }

    [Test]
    public async Task WhoMayLogsInOnAPooledConnectionThatIsNotFresh()
    {
        var proxy = await StartAsync(o => o with { Users = [.. o.Users, new UserCredential(_role, "secret", IsAdmin: false)] });
        var logins = await Cluster.ScalarAsync<long>(0, $"SELECT count(*) FROM pg_stat_activity WHERE usename = '{_role}'");
        Assert.That(logins, Is.Zero);
        Assert.That((await LogInAsync(proxy)).Status, Is.EqualTo('I'));
        var question = $"SELECT count(*) FROM pg_stat_activity WHERE usename = '{_role}' AND query LIKE '%rolcanlogin%'";
        await Waiting.UntilAsync(async () => (await LogInAsync(proxy)).Status == 'I' && await Cluster.ScalarAsync<long>(0, question) == 1);
        Assert.That(await Cluster.ScalarAsync<long>(0, $"SELECT count(*) FROM pg_stat_activity WHERE usename = '{_role}'"), Is.EqualTo(1), "nothing was opened anew");
    }

    private async Task<Transcript> LogInAsync(ProxyUnderTest proxy)
    {
        using var client = await ConnectAsync(proxy);
        return await client.StartAsync(_role, OwnDatabase, "secret");
    }
}
