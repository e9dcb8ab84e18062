using Npgsql;
using NUnit.Framework;
using ShardProxy.Demo.Gate;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.Demo;

// Protects: the relay before a node must change nothing but the pace: bytes pass intact both ways, every statement is counted, and
// nothing of it stays behind.
public sealed class NodeFrontTests
{
    [Test]
    public async Task Statements_pass_intact_and_are_counted()
    {
        var cluster = await SharedCluster.GetAsync();
        await using var front = new NodeFront("node1", cluster.Nodes[0].Host, cluster.Nodes[0].Port, TimeProvider.System);
        await using var source = Source(cluster, front, "app");
        await using var connection = await source.OpenConnectionAsync();
        var before = front.Gate.Passed;

        var text = new string('x', 300_000);
        for (var i = 0; i < 5; i++)
        {
            await using var command = new NpgsqlCommand("SELECT $1 || 'y'", connection) { Parameters = { new NpgsqlParameter { Value = text } } };
            Assert.That(await command.ExecuteScalarAsync(), Is.EqualTo(text + "y"));
        }

        Assert.That(front.Gate.Passed - before, Is.EqualTo(5));
    }

    [Test]
    public async Task A_paced_gate_still_serves_everyone_and_leaves_control_work_alone()
    {
        var cluster = await SharedCluster.GetAsync();
        await using var front = new NodeFront("node1", cluster.Nodes[0].Host, cluster.Nodes[0].Port, TimeProvider.System);
        front.Gate.SetRate(500);
        await using var clients = Source(cluster, front, "shardproxy/1");
        await using var control = Source(cluster, front, "shardproxy/1/control");
        var before = front.Gate.Passed;

        await Task.WhenAll(Enumerable.Range(0, 10).Select(async _ =>
        {
            for (var i = 0; i < 10; i++)
            {
                await using var command = clients.CreateCommand("SELECT 1");
                Assert.That(await command.ExecuteScalarAsync(), Is.EqualTo(1));
            }
        }));
        var passed = front.Gate.Passed - before;
        await using (var command = control.CreateCommand("SELECT 1"))
        {
            await command.ExecuteScalarAsync();
        }

        Assert.That(passed, Is.GreaterThanOrEqualTo(100));
        Assert.That(front.Gate.Passed - before, Is.EqualTo(passed));
        Assert.That(front.Gate.Waiting, Is.Zero);
    }

    [Test]
    public async Task Disposing_closes_every_connection()
    {
        var cluster = await SharedCluster.GetAsync();
        var front = new NodeFront("node1", cluster.Nodes[0].Host, cluster.Nodes[0].Port, TimeProvider.System);
        await using var source = Source(cluster, front, "app");
        await using var connection = await source.OpenConnectionAsync();

        await front.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30));

        await using var command = new NpgsqlCommand("SELECT 1", connection);
        Assert.That(async () => await command.ExecuteScalarAsync(), Throws.InstanceOf<NpgsqlException>());
    }

    private static NpgsqlDataSource Source(TestCluster cluster, NodeFront front, string application) => NpgsqlDataSource.Create(
        new NpgsqlConnectionStringBuilder(cluster.ConnectionString(0)) { Port = front.Port, ApplicationName = application }.ConnectionString);
}
