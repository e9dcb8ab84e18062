using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects the memory that prepared statements take, in bytes and not only in number: what a client may hold is bounded by a clear error, and
/// what is kept on a server by closing the least recently used, which no client notices.
/// </summary>
[TestFixture]
internal sealed class PreparedMemoryTests
{
    private const int TextBytes = 4_000;
    private TestCluster _cluster = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _cluster = await SharedCluster.GetAsync();

    [Test]
    public async Task AClientsStatementsAreBoundedInBytes()
    {
        await using var proxy = await StartAsync(o => o with { MaxPreparedBytesPerClient = 3 * TextBytes });
        using var client = await proxy.LoginAsync();
        Assert.That((await ParseAsync(client, 1)).SqlState, Is.Null);
        Assert.That((await ParseAsync(client, 2)).SqlState, Is.Null);
        var refused = await ParseAsync(client, 3);
        Assert.That((refused.SqlState, refused.Errors.Single().Field('D'), refused.Status), Is.EqualTo(("54000", "SHP-112", 'I')), refused.ToString());

        // The unnamed statement is one at a time and not counted; those that are there go on; what is closed makes room.
        Assert.That((await client.ExecuteAsync(Sized(4))).SqlState, Is.Null);
        Assert.That(await RunAsync(client, 1), Is.EqualTo("1"));
        await client.SendAsync(CloseStatement("s2"), Sync());
        await client.ReadUntilReadyAsync();
        Assert.That((await ParseAsync(client, 3)).SqlState, Is.Null);
        Assert.That(await RunAsync(client, 3), Is.EqualTo("3"));

        // So does DEALLOCATE, which SQL has for the same.
        await client.QueryAsync("DEALLOCATE ALL");
        Assert.That((await ParseAsync(client, 5)).SqlState, Is.Null);
        Assert.That((await ParseAsync(client, 6)).SqlState, Is.Null);
    }

    /// <summary>Of the unnamed statement and portal there is one at a time: a client at its limits goes on with them, as drivers do.</summary>
    [Test]
    public async Task AClientAtItsLimitsGoesOnWithTheUnnamedOnes()
    {
        await using var proxy = await StartAsync(o => o with { MaxPreparedPerClient = 2 });
        using var client = await proxy.LoginAsync();
        await client.QueryAsync("BEGIN");
        await client.SendAsync(Parse("SELECT 1", "a"), Parse("SELECT 2", "b"), Bind("a", "p"), Bind("b", "q"), Sync());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.Null);
        await client.SendAsync(Parse("SELECT 3"), Bind(), Execute(), Bind("b"), Execute(), Sync());
        var unnamed = await client.ReadUntilReadyAsync();
        Assert.That(unnamed.Rows.Select(r => r[0]), Is.EqualTo(new[] { "3", "2" }), unnamed.ToString());
        foreach (var named in new[] { Parse("SELECT 3", "c"), Bind("a", "r") })
        {
            await client.QueryAsync("SAVEPOINT s");
            await client.SendAsync(named, Sync());
            var refused = await client.ReadUntilReadyAsync();
            Assert.That(refused.Errors.Single().Field('D'), Is.EqualTo("SHP-110"), refused.ToString());
            await client.QueryAsync("ROLLBACK TO s");
        }

        await client.SendAsync(Execute("p"), Sync());
        Assert.That((await client.ReadUntilReadyAsync()).Rows[0][0], Is.EqualTo("1"));
        await client.QueryAsync("ROLLBACK");
        Assert.That((await client.QueryAsync("PREPARE c AS SELECT 3")).Errors.Single().Field('D'), Is.EqualTo("SHP-110"));
    }

    [Test]
    public async Task AServersStatementsAreBoundedInBytes()
    {
        const int statements = 12;
        await using var proxy = await StartAsync(o => o with { PoolSize = 1, MaxPreparedBytesPerServer = 3 * TextBytes });
        using var client = await proxy.LoginAsync();
        for (var i = 1; i <= statements; i++)
        {
            Assert.That((await ParseAsync(client, i)).SqlState, Is.Null);
        }

        for (var round = 0; round < 2; round++)
        {
            for (var i = 1; i <= statements; i++)
            {
                Assert.That(await RunAsync(client, i), Is.EqualTo($"{i}"));
            }

            // The same server: there is only one.
            var held = (await client.QueryAsync("SELECT count(*), coalesce(sum(length(statement)), 0) FROM pg_prepared_statements")).Rows[0];
            Assert.That(int.Parse(held[0]!, System.Globalization.CultureInfo.InvariantCulture), Is.InRange(1, 3), "on the server");
        }

        // One that is larger than the bound alone runs too.
        await client.SendAsync(Parse("SELECT 'large'" + new string(' ', 10 * TextBytes), "large"), Bind("large"), Execute(), Bind("large"), Execute(), Sync());
        var reply = await client.ReadUntilReadyAsync();
        Assert.That(reply.Rows.Select(r => r[0]), Is.EqualTo(new[] { "large", "large" }), reply.ToString());
    }

    private static string Sized(int number) => $"SELECT {number}::text".PadRight(TextBytes);

    private static async Task<Transcript> ParseAsync(ScriptedClient client, int number)
    {
        await client.SendAsync(Parse(Sized(number), $"s{number}"), Sync());
        return await client.ReadUntilReadyAsync();
    }

    private static async Task<string?> RunAsync(ScriptedClient client, int number)
    {
        await client.SendAsync(Bind($"s{number}"), Execute(), Sync());
        var reply = await client.ReadUntilReadyAsync();
        return reply.SqlState ?? reply.Rows[0][0];
    }

    private Task<ProxyUnderTest> StartAsync(Func<DataPathOptions, DataPathOptions> configure) => ProxyUnderTest.StartAsync(_cluster, TestCluster.Database, null, configure);
}
