using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;
using ShardProxy.Control.Planner;
using ShardProxy.Model.Plans;
using ShardProxy.Planning.Placement;
using ShardProxy.Unit.Tests.Planning;

namespace ShardProxy.Unit.Tests.Control.Planner;

// Protects: the loop as a whole, on a clock of its own: a hot spot that comes back every day is spread before it comes back; modes hold;
// failures do not repeat without end; views tell what happened.
public sealed class PlannerLoopTests
{
    private const int BinsPerDay = 24;
    private const double Capacity = 1000;
    private static readonly TimeSpan Bin = TimeSpan.FromSeconds(1);

    /// <summary>
    /// One day: a quiet base, and a hot window of 100 buckets that stands in the first third of the day at bucket 0, then at
    /// 340, then at 700. Statements per second of a bucket.
    /// </summary>
    private static double Load(int bin, int bucket)
    {
        var hot = (bin % BinsPerDay) switch { < 8 => 0, < 16 => 340, _ => 700 };
        return 0.3 + (bucket >= hot && bucket < hot + 100 ? 9 : 0);
    }

    private static (SimulatedCluster Cluster, PlannerLoop Loop, ObservedLoad Load) New(PlannerMode mode)
    {
        var options = PlannerOptions.Of(mode, Bin, BinsPerDay, 8);
        var cluster = new SimulatedCluster(PlanningSamples.Table(3, Capacity, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));
        var load = new ObservedLoad(options.History);
        return (cluster, new PlannerLoop(options, load, () => cluster.Table, _ => 0, cluster, cluster.Time, NullLogger<PlannerLoop>.Instance), load);
    }

    private static async Task RunAsync(SimulatedCluster cluster, PlannerLoop loop, ObservedLoad load, int fromBin, int bins, Action<int>? afterBin = null)
    {
        for (var bin = fromBin; bin < fromBin + bins; bin++)
        {
            var table = cluster.Table;
            load.Add(PlanningSamples.Window(cluster.Time.GetUtcNow(), Bin, b => Load(bin, b), table), table);
            cluster.Time.Advance(Bin);
            await loop.RunOnceAsync(CancellationToken.None);
            afterBin?.Invoke(bin);
        }
    }

    private static int OverloadedBins(SimulatedCluster cluster, int bin) => cluster.NodeLoads(b => Load(bin, b)).Count(l => l > 0.75 * Capacity);

    [Test]
    public async Task A_hot_spot_that_comes_every_day_is_spread_before_it_comes_again()
    {
        var (cluster, loop, load) = New(PlannerMode.Off);
        await using var _ = loop;
        var off = 0;
        await RunAsync(cluster, loop, load, 0, 4 * BinsPerDay, bin => off += OverloadedBins(cluster, bin));
        Assert.That(off, Is.EqualTo(4 * BinsPerDay), "without a planner one node is overloaded all the time");
        Assert.That(cluster.Moves, Is.Empty, "mode off moves nothing");

        loop.SetMode(PlannerMode.Automatic);
        var late = 0;
        await RunAsync(cluster, loop, load, 4 * BinsPerDay, 4 * BinsPerDay, bin => late += bin >= 5 * BinsPerDay ? OverloadedBins(cluster, bin) : 0);

        Assert.That(late, Is.Zero, "after one day of planning the hot window finds itself spread wherever it comes");
        // The window reaches bucket 340 at bin 8 of a day; the first move of its buckets must have been earlier on the first day.
        var ahead = cluster.Moves.Where(m => m.At < PlanningSamples.Epoch + (Bin * ((4 * BinsPerDay) + 8))).ToList();
        Assert.That(ahead, Is.Not.Empty);
        Assert.That(cluster.Moves.Count, Is.LessThan(20));
        Assert.That(loop.View.Plans.Where(p => p.State == PlanState.Done).Select(p => p.IsReactive), Has.None.True, "it acted on forecasts");
    }

    [Test]
    public async Task Without_a_past_it_acts_on_the_present_load()
    {
        var (cluster, loop, load) = New(PlannerMode.Automatic);
        await using var _ = loop;

        await RunAsync(cluster, loop, load, 0, 6);

        Assert.That(cluster.Moves, Is.Not.Empty);
        Assert.That(loop.View.Plans[^1].IsReactive, Is.True);
        Assert.That(cluster.NodeLoads(b => Load(0, b)).Max(), Is.LessThan(0.75 * Capacity));
    }

    [Test]
    public async Task Advice_is_only_shown()
    {
        var (cluster, loop, load) = New(PlannerMode.Advise);
        await using var _ = loop;

        await RunAsync(cluster, loop, load, 0, 5);

        Assert.That(cluster.Moves, Is.Empty);
        Assert.That(cluster.Splits, Is.Zero);
        Assert.That(loop.View.Plans[0].State, Is.EqualTo(PlanState.Proposed));
        Assert.That(loop.View.Plans[0].Steps, Is.Not.Empty);
        Assert.That(loop.View.Plans[0].Reason, Does.Contain("node1"));
        Assert.That(PlanText.Steps(loop.View.Plans[0], cluster.Table)[^1], Does.StartWith("move ").And.Contains("from node1 to node"));
        Assert.That(PlanText.Explanation(loop.View.Plans[0], cluster.Table), Has.Some.Contains("node1: predicted peak"));
    }

    [Test]
    public async Task An_approved_plan_is_carried_out_once()
    {
        var (cluster, loop, load) = New(PlannerMode.Approve);
        await using var _ = loop;
        await RunAsync(cluster, loop, load, 0, 4);
        Assert.That(cluster.Moves, Is.Empty);
        var id = loop.View.Plans[0].Id;

        Assert.That(loop.Approve(id), Is.Null);
        Assert.That(loop.Approve(id)!.Code, Is.EqualTo("SHP-651"));
        Assert.That(loop.Approve(9999)!.Code, Is.EqualTo("SHP-650"));
        await RunAsync(cluster, loop, load, 4, 1);

        Assert.That(cluster.Moves, Has.Count.EqualTo(1));
        Assert.That(loop.View.Plans.Single(p => p.Id == id).State, Is.EqualTo(PlanState.Done));
        await RunAsync(cluster, loop, load, 5, 2);
        Assert.That(cluster.Moves, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task A_failed_move_is_told_and_not_tried_again_at_once()
    {
        var (cluster, loop, load) = New(PlannerMode.Automatic);
        await using var _ = loop;
        cluster.FailWith = "the target is full";

        await RunAsync(cluster, loop, load, 0, 4);

        var failed = loop.View.Plans.Where(p => p.State == PlanState.Failed).ToList();
        Assert.That(failed, Is.Not.Empty);
        Assert.That(failed[0].Outcome, Is.EqualTo("the target is full"));
        var tried = failed.Select(p => p.Steps.First(s => s.Kind == PlanStepKind.Move)).ToList();
        for (var i = 1; i < tried.Count; i++)
        {
            Assert.That(new PastMove(tried[i].GroupId, tried[i].From, tried[i].To, 0, 0, default).Overlaps(tried[i - 1].GroupId, tried[i - 1].From, tried[i - 1].To), Is.False);
        }
    }

    [Test]
    public async Task While_a_move_runs_views_go_on_and_no_second_plan_is_begun()
    {
        var (cluster, loop, load) = New(PlannerMode.Automatic);
        var hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        cluster.Hold = hold.Task;
        Task execution = Task.CompletedTask;
        for (var bin = 0; bin < 4; bin++)
        {
            var table = cluster.Table;
            load.Add(PlanningSamples.Window(cluster.Time.GetUtcNow(), Bin, b => Load(bin, b), table), table);
            cluster.Time.Advance(Bin);
            execution = loop.RunOnceAsync(CancellationToken.None);
        }

        Assert.That(execution.IsCompleted, Is.False);
        Assert.That(loop.View.MadeAt, Is.EqualTo(cluster.Time.GetUtcNow()));
        Assert.That(loop.View.Plans, Has.Length.EqualTo(1));
        hold.SetResult();
        await execution;
        Assert.That(cluster.Moves, Has.Count.EqualTo(1));
        await loop.DisposeAsync();
    }

    [Test]
    public async Task The_view_shows_loads_and_forecasts_of_nodes_and_ranges()
    {
        var (cluster, loop, load) = New(PlannerMode.Off);
        await using var _ = loop;

        await RunAsync(cluster, loop, load, 0, 3 * BinsPerDay);

        var view = loop.View;
        Assert.That(view.Nodes.Select(n => n.Name), Is.EqualTo(new[] { "node1", "node2", "node3" }));
        Assert.That(view.Nodes.Sum(n => n.Statements), Is.EqualTo(Enumerable.Range(0, 1024).Sum(b => Math.Round(Load((3 * BinsPerDay) - 1, b)))).Within(1));
        Assert.That(view.Ranges, Has.Length.EqualTo(12));
        Assert.That(view.Forecasts, Has.Length.EqualTo(12 * 8));
        Assert.That(view.Forecasts.Select(f => (f.RangeId, f.Step)).Take(9), Is.EqualTo(Enumerable.Range(1, 8).Select(s => (1, s)).Append((2, 1))));
        Assert.That(view.Forecasts[0].At, Is.EqualTo(cluster.Time.GetUtcNow()));
        Assert.That(view.Nodes[0].Next, Is.EqualTo(900 + 342).Within(420), "the day begins anew: the window is back at bucket 0");
        Assert.That(double.IsNaN(view.Nodes[0].Expected), Is.False);
        Assert.That(view.Ranges.Sum(r => r.Load!.Value.Statements), Is.EqualTo(view.Nodes.Sum(n => n.Statements)).Within(1));
        Assert.That(view.Ranges.Select(r => r.Load!.Value.Writes), Is.All.Zero, "the newest bin keeps its details");
        Assert.That(view.BinEnd, Is.EqualTo(cluster.Time.GetUtcNow()));
        Assert.That(view.LastFinding, Is.EqualTo("the planner is off"));
    }

    [Test]
    public void One_group_can_have_a_mode_of_its_own()
    {
        var (_, loop, _) = New(PlannerMode.Automatic);

        loop.SetMode(PlannerMode.Off, PlanningSamples.Group);
        Assert.That(loop.ModeOf(PlanningSamples.Group), Is.EqualTo(PlannerMode.Off));
        Assert.That(loop.ModeOf(2), Is.EqualTo(PlannerMode.Automatic));

        loop.SetMode(PlannerMode.Advise);
        Assert.That(loop.ModeOf(PlanningSamples.Group), Is.EqualTo(PlannerMode.Advise), "setting all means all");
    }
}
