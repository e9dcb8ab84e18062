using NUnit.Framework;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>Protects readers of a table that is being copied to all nodes: they go on, at home, where every row is; writers, and joins that need the copies, wait.</summary>
[TestFixture]
internal sealed class ReplicatingTests : DataPathFixture
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);

    protected override Placement Tables { get; } = new Placement().Replicated("c", "code int4, name text").Sharded("a", "id int4, code int4", "id");

    protected override string Ddl => "CREATE TABLE c (code int PRIMARY KEY, name text); CREATE TABLE a (id int PRIMARY KEY, code int);";

    [Test]
    public async Task ReadersGoOnAtHomeAndWritersWait()
    {
        await DirectAsync(0, "INSERT INTO c VALUES (1, 'home has it')");
        var elsewhere = (await DirectAsync(1, "SELECT count(*) FROM c")).Single();
        Assert.That(elsewhere, Is.EqualTo("0"), "the copy has not come yet");
        using var reader = await Proxy.LoginAsync();
        using var inBlock = await Proxy.LoginAsync();
        using var writer = await Proxy.LoginAsync();
        using var joiner = await Proxy.LoginAsync();

        // A block that is on another node already.
        Assert.That((await reader.QueryAsync($"INSERT INTO a VALUES {string.Join(", ", Enumerable.Range(1, 40).Select(i => $"({i}, 1)"))}")).SqlState, Is.Null);
        var key = (await DirectAsync(1, "SELECT min(id) FROM a")).Single();
        Assert.That((await inBlock.QueryAsync("BEGIN")).SqlState, Is.Null);
        Assert.That((await inBlock.QueryAsync($"SELECT id FROM a WHERE id = {key}")).SqlState, Is.Null);
        await Proxy.PublishAsync(t => Changing(t, true), DrainScope.None, Long);
        foreach (var client in new[] { reader, inBlock })
        {
            Assert.That((await client.QueryAsync("SELECT name FROM c WHERE code = 1")).Rows.Single(), Is.EqualTo(new[] { "home has it" }));
        }

        var written = writer.QueryAsync("INSERT INTO c VALUES (2, 'waits')");
        var joined = joiner.QueryAsync($"SELECT c.name FROM a JOIN c USING (code) WHERE a.id = {key}");
        using var deadline = new CancellationTokenSource(Long);
        while (Proxy.Plane.Sessions().Count(s => s.State == "held") < 2)
        {
            deadline.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }

        Assert.That((written.IsCompleted, joined.IsCompleted), Is.EqualTo((false, false)));
        await DirectOnAllAsync("INSERT INTO c VALUES (1, 'home has it') ON CONFLICT DO NOTHING");
        await Proxy.PublishAsync(t => Changing(t, false), DrainScope.None, Long);
        Assert.That((await written).SqlState, Is.Null);
        Assert.That((await joined).SqlState, Is.Null);
        Assert.That((await inBlock.QueryAsync("COMMIT")).SqlState, Is.Null);
    }

    // A server that has only read a statement holds a lock on its table to the end of the transaction: the change would wait for whoever waits for the change.
    [TestCase(false)]
    [TestCase(true)]
    public async Task AStatementThatIsOnlyParsedHoldsNoLockOnAChangingTable(bool isInBlock)
    {
        using var client = await Proxy.LoginAsync();
        if (isInBlock)
        {
            Assert.That((await client.QueryAsync("BEGIN")).SqlState, Is.Null);
        }

        await Proxy.PublishAsync(t => Changing(t, true), DrainScope.None, Long);
        try
        {
            await client.SendAsync(Parse("INSERT INTO c VALUES ($1, $2)"), DescribeStatement(), Flush());
            using var deadline = new CancellationTokenSource(Long);
            while (Proxy.Plane.Sessions().All(s => s.State != "held"))
            {
                deadline.Token.ThrowIfCancellationRequested();
                await Task.Yield();
            }

            Assert.That(await DirectAsync(0, "SELECT mode FROM pg_locks WHERE relation = 'c'::regclass"), Is.Empty);
        }
        finally
        {
            await Proxy.PublishAsync(t => Changing(t, false), DrainScope.None, Long);
        }

        await client.SendAsync(Bind(values: ["7", "seven"]), Execute(), Sync());
        var reply = await client.ReadUntilReadyAsync();
        Assert.That(reply.SqlState, Is.Null);
        Assert.That((await client.QueryAsync(isInBlock ? "ROLLBACK" : "DELETE FROM c WHERE code = 7")).SqlState, Is.Null);
    }

    private static RoutingTable Changing(RoutingTable table, bool isChanging) => new(
        table.Epoch + 1, table.PlacementVersion + 1, table.Nodes, table.Groups, [.. table.Tables.Select(t => t.Placement == TablePlacement.Replicated ? t with { IsChanging = isChanging } : t)], table.Moves, [], []);
}
