using NUnit.Framework;
using ShardProxy.Admin.Backend;
using ShardProxy.Composition;
using ShardProxy.Configuration;
using ShardProxy.Functional.Tests.DataPath;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.Composition;

/// <summary>
/// Protects clients from the proxy's own curiosity: sizes are those of PostgreSQL, but nobody ever waits behind the question, and where
/// nothing is placed no node is asked.
/// </summary>
internal sealed class TableSizeReaderTests : DataPathFixture
{
    protected override Placement Tables { get; } = new Placement().Sharded("sized", "id int4, v text", "id").Sharded("rebuilt", "id int4, v text", "id");

    protected override string Ddl => """
        CREATE TABLE sized (id int PRIMARY KEY, v text);
        CREATE TABLE rebuilt (id int PRIMARY KEY, v text);
        INSERT INTO sized SELECT i, repeat('x', 100) FROM generate_series(1, 1000) i;
        INSERT INTO rebuilt SELECT i, repeat('x', 100) FROM generate_series(1, 1000) i;
        ANALYZE sized, rebuilt;
        """;

    [Test]
    public async Task SizesAreThoseOfPostgres()
    {
        await using var reader = Reader(Cluster.Nodes.Count);
        var sizes = await reader.ReadAsync(CancellationToken.None);
        Assert.That(sizes, Has.Length.EqualTo(2 * Cluster.Nodes.Count));
        var size = sizes.Single(s => s.NodeId == 1 && s.Table.Name == "sized");
        Assert.That((size.Rows, $"{size.Bytes}"), Is.EqualTo((1000.0, (await DirectAsync(0, "SELECT pg_total_relation_size('sized')")).Single())));
    }

    [TestCase("LOCK TABLE sized")]
    [TestCase("DROP INDEX sized_pkey_copy")]
    public async Task ATableThatSomebodyHasForHimselfIsNotWaitedFor(string statement)
    {
        await DirectAsync(0, "CREATE INDEX IF NOT EXISTS sized_pkey_copy ON sized (id)");
        using var owner = await DirectLoginAsync(0);
        await owner.QueryAsync("BEGIN");
        Assert.That((await owner.QueryAsync(statement)).SqlState, Is.Null);

        // A lock time-out of nothing would end the query if it asked for a lock.
        using var client = await DirectLoginAsync(0);
        await client.QueryAsync("SET lock_timeout = 1");
        var reply = await client.QueryAsync(TableSizeQuery.Text.Replace("$1", "'{public,public}'", StringComparison.Ordinal).Replace("$2", "'{sized,rebuilt}'", StringComparison.Ordinal));
        Assert.That(reply.SqlState, Is.Null, reply.ToString());
        Assert.That(reply.Rows.Select(r => r[1]), Is.EquivalentTo(new[] { "sized", "rebuilt" }));
        Assert.That(reply.Rows.Select(r => double.Parse(r[3]!, System.Globalization.CultureInfo.InvariantCulture)), Is.All.GreaterThan(100_000));
        await owner.QueryAsync("ROLLBACK");
    }

    [Test]
    public async Task WhereNothingIsPlacedNobodyIsAsked()
    {
        await using var node = FakeBackend.Start(_ => FakeReply.Command("OK"));
        await using var reader = new TableSizeReader(new Topology(new Placement().Build([new Node(1, "node1", "127.0.0.1", node.EndPoint.Port, 0, true)])), [At(0, node.EndPoint.Port)], Database, "sizes");
        Assert.That(await reader.ReadAsync(CancellationToken.None), Is.Empty);
        Assert.That(node.Logins, Is.Zero);
    }

    private TableSizeReader Reader(int nodes) =>
        new(new Topology(Tables.Build([.. Enumerable.Range(0, nodes).Select(i => new Node(i + 1, $"node{i + 1}", "127.0.0.1", Cluster.Nodes[i].Port, 0, i == 0))])), [.. Enumerable.Range(0, nodes).Select(i => At(i, Cluster.Nodes[i].Port))], Database, "sizes");

    private static NodeOptions At(int index, int port) =>
        new($"node{index + 1}", new ServerAddress("127.0.0.1", port, TestCluster.User, new Secret(TestCluster.Password), "postgres"), 0, index == 0);

    private sealed class Topology(RoutingTable current) : ITopologyView
    {
        public RoutingTable Current => current;

        public NodeState StateOf(int nodeId) => NodeState.Unknown;
    }
}
