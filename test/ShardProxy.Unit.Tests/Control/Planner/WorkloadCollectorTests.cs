using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;
using ShardProxy.Control.Planner;
using ShardProxy.Model.Workload;
using ShardProxy.Planning.History;
using ShardProxy.Unit.Tests.Planning;

namespace ShardProxy.Unit.Tests.Control.Planner;

// Protects: every recorder's load reaches the history, and one that fails does not silence the others.
public sealed class WorkloadCollectorTests
{
    private static readonly TimeSpan Bin = TimeSpan.FromSeconds(1);

    [Test]
    public void Windows_of_all_sources_are_taken_and_a_failing_one_costs_only_its_own()
    {
        var cluster = new SimulatedCluster(PlanningSamples.Table(2, 0, 1, 2));
        var load = new ObservedLoad(new LoadHistoryOptions { BinLength = Bin, MaxBins = 10 });
        var collector = new WorkloadCollector(
            [new Source("p1", 10), new BrokenSource(), new Source("p2", 20)], load, () => cluster.Table, Bin, cluster.Time, NullLogger<WorkloadCollector>.Instance);

        collector.CollectOnce();

        Assert.That(load.Read(h => h.RangeLoadAt(PlanningSamples.Group, long.MinValue, null, h.BinOf(PlanningSamples.Epoch))), Is.EqualTo(30).Within(1e-6));
    }

    [Test]
    public async Task It_ends_when_asked_to()
    {
        var cluster = new SimulatedCluster(PlanningSamples.Table(2, 0, 1, 2));
        var collector = new WorkloadCollector(
            [], new ObservedLoad(new LoadHistoryOptions()), () => cluster.Table, TimeSpan.FromHours(1), TimeProvider.System, NullLogger<WorkloadCollector>.Instance);
        using var stop = new CancellationTokenSource();
        var run = collector.RunAsync(stop.Token);

        await stop.CancelAsync();

        Assert.That(async () => await run.WaitAsync(TimeSpan.FromSeconds(30)), Throws.Nothing);
    }

    private sealed class Source(string proxy, int calls) : IWorkloadSource
    {
        public WorkloadWindow TakeWindow() => PlanningSamples.Window(PlanningSamples.Epoch, Bin, b => b == 1 ? calls : 0, proxy: proxy);
    }

    private sealed class BrokenSource : IWorkloadSource
    {
        public WorkloadWindow TakeWindow() => throw new InvalidOperationException("broken");
    }
}
