using NUnit.Framework;
using ShardProxy.Demo;
using ShardProxy.Demo.Accounting;

namespace ShardProxy.Cluster.Tests.Demo;

// Protects: the figures of the summary, and that exit code 0 means what it says.
public sealed class AccountingTests
{
    [Test]
    public void Imbalance_is_the_busiest_over_the_mean_weighted_by_load()
    {
        var meter = new ImbalanceMeter();
        meter.Add([300, 0, 0]);
        meter.Add([100, 100, 100]);
        meter.Add([0, 0, 0]);

        Assert.That(meter.Value, Is.EqualTo(2).Within(1e-9));
    }

    [Test]
    public void Quantiles_are_right_within_a_bucket()
    {
        var latencies = new LatencyRecorder();
        for (var ms = 1; ms <= 1000; ms++)
        {
            latencies.Add(TimeSpan.FromMilliseconds(ms));
        }

        var middle = latencies.Snapshot();
        latencies.Add(TimeSpan.FromSeconds(5));

        Assert.That(latencies.QuantileMs(0.5), Is.InRange(500, 530));
        Assert.That(latencies.QuantileMs(0.99), Is.InRange(990, 1045));
        Assert.That(latencies.MaxMs, Is.EqualTo(5000));
        Assert.That(LatencyRecorder.QuantileMs(middle, latencies.Snapshot(), 0.99), Is.InRange(5000, 5300), "only what came since");
    }

    [Test]
    public void The_demo_holds_only_without_any_blemish()
    {
        var clean = Summary();
        Assert.That(clean.Holds, Is.True);
        Assert.That((clean with { ClientErrors = 1 }).Holds, Is.False);
        Assert.That((clean with { AreAllAnswered = false }).Holds, Is.False);
        Assert.That((clean with { Audit = new RowAuditReport(1, 1, 1, ["x"]) }).Holds, Is.False);
        Assert.That((clean with { Migrations = [Migration("copying")] }).Holds, Is.False);
        Assert.That(clean.Lines(), Has.Some.StartsWith("all rows accounted for"));
        Assert.That((clean with { Audit = new RowAuditReport(1, 1, 1, ["x"]) }).Lines(), Has.None.StartsWith("all rows accounted for"));
    }

    private static DemoConsole.MigrationRow Migration(string state) => new(1, "7", "node1", "node2", state, 10, 10, null, 10, 12, "");

    private static DemoSummary Summary() => new()
    {
        OffImbalance = 2,
        OnImbalance = 1.2,
        OffP50Ms = 3,
        OnP50Ms = 2,
        OffP99Ms = 500,
        OnP99Ms = 20,
        StatementsEachPhase = 1000,
        Migrations = [Migration("done")],
        ClientErrors = 0,
        ErrorExamples = [],
        AreAllAnswered = true,
        Audit = new RowAuditReport(1, 1, 0, []),
        UncappedPerSecond = 4000,
        CapPerNode = 370,
        Nodes = 3,
    };
}
