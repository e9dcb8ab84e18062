using NUnit.Framework;
using ShardProxy.TestKit.Tpcc;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects transactions over shards under load: TPC-C's conditions of consistency hold after clients have run its five transactions over several nodes, with
// remote warehouses and while ranges move; and what clients were told is committed is there, once. `test/stress tpcc` is the long run.
[TestFixture]
internal sealed class TpccTests
{
    [Test]
    [CancelAfter(180_000)]
    public async Task TPC_C_stays_consistent_over_nodes_while_ranges_move(CancellationToken cancellationToken)
    {
        using var output = new StringWriter();
        var options = new TpccOptions { Warehouses = 4, Clients = 6, Percent = 1, Duration = TimeSpan.FromSeconds(8), Moves = true };
        var findings = await TpccRun.RunAsync(options, output).WaitAsync(cancellationToken);
        await TestContext.Out.WriteLineAsync(output.ToString());
        Assert.That(findings, Is.Empty, output.ToString());
    }
}
