using NUnit.Framework;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;
using ShardProxy.Wire.Auth;

namespace ShardProxy.Functional.Tests.Auth;

/// <summary>
/// Protects logins to real servers: the SCRAM client is let in by PostgreSQL, and for random passwords of all kinds of characters the
/// verifier derived here is the one PostgreSQL stores, so that both sides prepare passwords alike.
/// </summary>
[TestFixture]
internal sealed class ScramServerTests
{
    private const int Passwords = 500;

    [Test]
    public async Task PostgresLetsTheClientInAndKeepsAWrongPasswordOut()
    {
        var cluster = await SharedCluster.GetAsync();
        var port = cluster.Nodes[0].Port;
        using var right = await ScriptedClient.LoginAsync(port, TestCluster.User, TestCluster.Database, TestCluster.Password);
        Assert.That((await right.QueryAsync("SELECT 1")).Rows[0][0], Is.EqualTo("1"));

        using var wrong = await ScriptedClient.ConnectAsync(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, port));
        Assert.That((await wrong.StartAsync(TestCluster.User, TestCluster.Database, "not it")).SqlState, Is.EqualTo("28P01"));
    }

    [Test]
    public async Task TheVerifierOfRandomPasswordsIsTheOnePostgresStores()
    {
        var seed = Environment.TickCount;
        await TestContext.Out.WriteLineAsync($"seed {seed}");
        var random = new Random(seed);
        var cluster = await SharedCluster.GetAsync();
        await using var connection = await cluster.DataSource(0).OpenConnectionAsync();
        var role = "scram_" + Guid.NewGuid().ToString("n", System.Globalization.CultureInfo.InvariantCulture);
        await ExecuteAsync($"CREATE ROLE {role}");
        try
        {
            for (var i = 0; i < Passwords; i++)
            {
                var password = RandomPassword(random);
                await ExecuteAsync($"ALTER ROLE {role} PASSWORD '{password.Replace("'", "''", StringComparison.Ordinal)}'");
                var stored = await cluster.ScalarAsync<string>(0, $"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'");
                Assert.That(ScramVerifier.TryParse(stored!, out var parsed), Is.True);
                Assert.That(
                    ScramVerifier.FromPassword(password, parsed!.Salt, parsed.Iterations).ToSecretText(), Is.EqualTo(stored),
                    () => "password " + string.Join(' ', password.EnumerateRunes().Select(r => r.Value.ToString("x", System.Globalization.CultureInfo.InvariantCulture))));
            }
        }
        finally
        {
            await ExecuteAsync($"DROP ROLE {role}");
        }

        async Task ExecuteAsync(string sql)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = sql;
            await command.ExecuteNonQueryAsync();
        }
    }

    /// <summary>A few characters from blocks where preparation has something to do.</summary>
    private static string RandomPassword(Random random)
    {
        (int First, int Last)[] blocks =
        [
            (0x21, 0x7e), (0xa0, 0x24f), (0x300, 0x36f), (0x370, 0x3ff), (0x5d0, 0x5ea), (0x620, 0x64f), (0x900, 0x97f), (0x1100, 0x11ff), (0x1e00, 0x1fff),
            (0x2000, 0x206f), (0x2100, 0x214f), (0x3040, 0x30ff), (0xac00, 0xd7a3), (0xf900, 0xfb4f), (0xfe70, 0xffef), (0x1d100, 0x1d7ff), (0x1f600, 0x1f64f), (0x80, 0xd7ff),
        ];
        var second = blocks[random.Next(blocks.Length)];
        var prefix = random.Next(2) == 0 ? "a" : "";
        return prefix + string.Concat(Enumerable.Range(0, random.Next(1, 7)).Select(_ =>
        {
            var (first, last) = random.Next(3) == 0 ? blocks[random.Next(blocks.Length)] : second;
            return char.ConvertFromUtf32(random.Next(first, last + 1));
        })).Replace("\\", "/", StringComparison.Ordinal);
    }
}
