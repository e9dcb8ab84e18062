using System.Collections.Immutable;
using NUnit.Framework;
using ShardProxy.Demo;
using ShardProxy.Demo.Accounting;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.Demo;

// Protects: "all rows accounted for" is the demo's claim. A lost, doubled or changed row on a real server must be found.
public sealed class RowAuditTests
{
    private const int Accounts = 20;

    [TestCase("", "", 0)]
    [TestCase("DELETE FROM accounts WHERE id = 3", "", 1)]
    [TestCase("", "INSERT INTO accounts SELECT id, 0, 0 FROM generate_series(4, 4) id", 1)]
    [TestCase("UPDATE accounts SET balance = balance + 1 WHERE id = 5", "", 1)]
    [TestCase("UPDATE accounts SET changes = 2 WHERE id = 1", "", 1)]
    [TestCase("DELETE FROM entries", "", 1)]
    [TestCase("", "INSERT INTO entries VALUES (1, 9, 0)", 1)]
    [TestCase("INSERT INTO accounts VALUES (99, 0, 0)", "", 1)]
    public async Task Every_difference_is_found(string onFirst, string onSecond, int findings)
    {
        var database = $"audit_{Guid.NewGuid():N}";
        var cluster = await SharedCluster.GetAsync();
        await cluster.CreateDatabaseAsync(database);
        await using var demo = new TwoNodes(
            cluster.ConnectionString(0, "app"),
            [new DemoNode("node1", cluster.ConnectionString(0, database)), new DemoNode("node2", cluster.ConnectionString(1, database))]);
        foreach (var (node, from, to, change) in new[] { (0, 1, 10, onFirst), (1, 11, Accounts, onSecond) })
        {
            await using var source = Npgsql.NpgsqlDataSource.Create(cluster.ConnectionString(node, database));
            await using var setup = source.CreateCommand(
                $"CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint, changes integer); " +
                $"INSERT INTO accounts SELECT id, CASE id WHEN 1 THEN 50 ELSE 0 END, CASE id WHEN 1 THEN 1 ELSE 0 END FROM generate_series({from}, {to}) id; " +
                $"CREATE TABLE entries (account_id bigint, entry_id bigint, amount bigint); " +
                (node == 0 ? "INSERT INTO entries VALUES (2, 1, 7); " : "") + change);
            await setup.ExecuteNonQueryAsync();
        }

        var ledger = new ClientLedger(Accounts);
        ledger.Updated(1, 50);
        ledger.Inserted(2, 7);

        var report = await RowAudit.ReadNodesAsync(demo, ledger, CancellationToken.None);

        Assert.That(report.Findings, Is.EqualTo(findings), string.Join("; ", report.Examples));
        Assert.That(report.Expected, Is.EqualTo(Accounts + 1));
    }

    private sealed class TwoNodes(string client, ImmutableArray<DemoNode> nodes) : IDemoCluster
    {
        public string ClientConnectionString => client;

        public string ConsoleConnectionString => client;

        public ImmutableArray<DemoNode> Nodes => nodes;

        public ValueTask SetCapacityAsync(double statementsPerSecond, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
