using System.Collections.Immutable;
using NUnit.Framework;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;
using ShardProxy.Planning.Forecasting;
using ShardProxy.Planning.History;
using ShardProxy.Planning.Placement;

namespace ShardProxy.Unit.Tests.Planning.Placement;

// Protects: a plan moves customers' data. It must relieve what is predicted, in time, with few bytes, never back and forth, and do
// nothing when nothing is worth it.
public sealed class PlacementPlannerTests
{
    private const int Horizon = 12;

    private static readonly PlacementOptions Options = new() { StepLength = TimeSpan.FromSeconds(10), CoolDown = TimeSpan.FromMinutes(1), ReturnBan = TimeSpan.FromMinutes(10) };

    /// <summary>Load of every bucket at every step, from which forecasts of the ranges are made.</summary>
    private static PlacementInput Input(RoutingTable table, Func<int, int, double> load, Func<int, int, double>? width = null, long bytes = 1_000_000) => new()
    {
        Now = PlanningSamples.Epoch,
        Epoch = table.Epoch,
        Nodes = [.. table.Nodes.Select(n => new NodeSupply(n.Id, n.Name, n.Capacity, 0, true))],
        Ranges = [.. table.Group(PlanningSamples.Group).Ranges.Select(r => new RangeDemand(Forecast(r, load, width), bytes, true))],
    };

    private static RangeForecast Forecast(ShardRange range, Func<int, int, double> load, Func<int, int, double>? width)
    {
        var span = BucketSpan.Of(range.From, range.To);
        var buckets = Enumerable.Range(span.First, span.Count).Select(b => Enumerable.Range(0, Horizon).Select(h => load(b, h)).ToImmutableArray()).ToImmutableArray();
        var point = Enumerable.Range(0, Horizon).Select(h => buckets.Sum(b => b[h])).ToImmutableArray();
        var widths = Enumerable.Range(0, Horizon).Select(h => width?.Invoke(range.Id, h) ?? 0).ToArray();
        return new RangeForecast
        {
            Range = range,
            FirstBin = 0,
            Forecast = new Forecast(point, [.. point.Select((p, h) => p - widths[h])], [.. point.Select((p, h) => p + widths[h])]),
            Model = "test",
            IsReactive = false,
            Present = point[0],
            BacktestError = 0,
            Buckets = buckets,
        };
    }

    private static bool IsHot(int bucket, int first, int count) => bucket >= first && bucket < first + count;

    [Test]
    public void Even_load_needs_no_plan()
    {
        var plan = new PlacementPlanner(Options).Plan(Input(PlanningSamples.Table(3, 1000, 1, 2, 3, 1, 2, 3), (_, _) => 1));

        Assert.That(plan.Steps, Is.Empty);
        Assert.That(plan.Reason, Does.Contain("no node is predicted"));
    }

    [Test]
    public void A_predicted_hot_spot_is_relieved_before_it_comes()
    {
        // Buckets 0 to 170 are range 1 on node 1; from step 6 on they carry 900 of a limit of 750.
        var table = PlanningSamples.Table(3, 1000, 1, 2, 3, 1, 2, 3);
        var plan = new PlacementPlanner(Options).Plan(Input(table, (b, h) => h >= 6 && IsHot(b, 0, 100) ? 9 : 0.1));

        var move = plan.Steps.First(s => s.Kind == PlanStepKind.Move);
        Assert.That(move.SourceNodeId, Is.EqualTo(1));
        Assert.That(move.Reason, Does.Contain("node1").And.Contain("750"));
        var node1 = plan.Projections.Single(p => p.NodeId == 1);
        Assert.That(node1.PeakBefore, Is.GreaterThan(900));
        Assert.That(plan.Projections.Select(p => p.PeakAfter), Is.All.LessThan(750), "all nodes stay below their limit");
    }

    [Test]
    public void A_range_too_hot_to_move_whole_is_split_where_it_balances()
    {
        var table = PlanningSamples.Table(2, 1000, 1, 2);
        var plan = new PlacementPlanner(Options).Plan(Input(table, (b, _) => IsHot(b, 0, 200) ? 6 : 0));

        Assert.That(plan.Steps[0].Kind, Is.EqualTo(PlanStepKind.Split));
        Assert.That(plan.Steps[1].Kind, Is.EqualTo(PlanStepKind.Move));
        Assert.That(plan.Steps[1].From == plan.Steps[0].SplitAt || plan.Steps[1].To == plan.Steps[0].SplitAt, Is.True, "what moves is what was cut off");
        Assert.That(plan.Projections.Select(p => p.PeakAfter), Is.All.InRange(450, 750));
    }

    [Test]
    public void Imbalance_alone_is_a_reason_when_capacities_are_unknown()
    {
        var table = PlanningSamples.Table(3, 0, 1, 2, 3, 1, 2, 3);
        var plan = new PlacementPlanner(Options).Plan(Input(table, (b, _) => IsHot(b, 0, 100) ? 9 : 0.1));

        Assert.That(plan.Steps, Is.Not.Empty);
        Assert.That(plan.Projections.Max(p => p.PeakAfter), Is.LessThan(0.6 * plan.Projections.Max(p => p.PeakBefore)));
    }

    [Test]
    public void The_upper_end_of_the_forecast_decides()
    {
        var table = PlanningSamples.Table(2, 1000, 1, 1, 2, 2);
        Func<int, int, double> load = (b, _) => b < 512 ? 1.2 : 1;

        Assert.That(new PlacementPlanner(Options).Plan(Input(table, load)).Steps, Is.Empty);
        Assert.That(new PlacementPlanner(Options).Plan(Input(table, load, (range, _) => range <= 2 ? 150 : 0)).Steps, Is.Not.Empty);
    }

    [Test]
    public void Of_equally_good_moves_the_one_with_fewest_bytes_is_made()
    {
        var table = PlanningSamples.Table(2, 1000, 1, 1, 1, 2);
        var input = Input(table, (b, _) => b < 768 ? 1.2 : 0.1);
        input = input with { Ranges = [.. input.Ranges.Select(r => r with { Bytes = r.Forecast.Range.Id == 2 ? 1000 : 1_000_000_000 })] };

        var plan = new PlacementPlanner(Options).Plan(input);

        Assert.That(plan.Steps.Where(s => s.Kind == PlanStepKind.Move).Select(s => s.Bytes).First(), Is.LessThanOrEqualTo(1000));
    }

    [Test]
    public void A_single_hot_bucket_is_isolated_and_said_to_be_beyond_any_split()
    {
        var table = PlanningSamples.Table(2, 1000, 1, 1, 2, 2);
        var plan = new PlacementPlanner(Options).Plan(Input(table, (b, _) => b == 100 ? 900 : IsHot(b, 0, 256) ? 1 : 0.2));

        Assert.That(plan.Notices.Single(), Does.Contain("bucket 100").And.Contain("no split can relieve it"));
        Assert.That(plan.Steps.Where(s => s.Kind == PlanStepKind.Move), Has.None.Matches<PlanStep>(s => BucketSpan.Of(s.From, s.To) is var span && IsHot(100, span.First, span.Count)),
            "moving the bucket itself only moves the problem");
        Assert.That(plan.Steps.Count(s => s.Kind == PlanStepKind.Split), Is.GreaterThan(0), "its neighbours are cut off it");
    }

    [Test]
    public void What_has_just_moved_stays_for_the_cool_down_and_does_not_go_back()
    {
        var table = PlanningSamples.Table(2, 1000, 1, 2);
        var input = Input(table, (b, _) => IsHot(b, 0, 200) ? 6 : 0);
        var planner = new PlacementPlanner(Options);
        Assert.That(planner.Plan(input).Steps, Is.Not.Empty, "without a past it moves");

        var cooling = input with { PastMoves = [new PastMove(PlanningSamples.Group, long.MinValue, 0, 3, 1, PlanningSamples.Epoch.AddSeconds(-30))] };
        Assert.That(planner.Plan(cooling).Steps, Is.Empty);

        var cameFrom2 = input with { PastMoves = [new PastMove(PlanningSamples.Group, long.MinValue, 0, 2, 1, PlanningSamples.Epoch.AddMinutes(-5))] };
        var plan = planner.Plan(cameFrom2);
        Assert.That(plan.Steps, Is.Empty);
        Assert.That(plan.Reason, Does.Contain("no allowed move"));

        var longAgo = input with { PastMoves = [new PastMove(PlanningSamples.Group, long.MinValue, 0, 2, 1, PlanningSamples.Epoch.AddMinutes(-15))] };
        Assert.That(planner.Plan(longAgo).Steps, Is.Not.Empty);
    }

    [Test]
    public void A_move_that_cannot_be_done_within_the_horizon_is_not_begun()
    {
        var table = PlanningSamples.Table(2, 1000, 1, 2);
        var plan = new PlacementPlanner(Options).Plan(Input(table, (b, _) => IsHot(b, 0, 200) ? 6 : 0, bytes: 1L << 50));

        Assert.That(plan.Steps, Is.Empty);
    }

    [Test]
    public void Ranges_on_the_move_and_nodes_at_work_are_left_alone()
    {
        var table = PlanningSamples.Table(3, 1000, 1, 2, 3);
        var input = Input(table, (b, _) => IsHot(b, 0, 200) ? 6 : 0);
        var planner = new PlacementPlanner(Options);

        Assert.That(planner.Plan(input with { Ranges = [.. input.Ranges.Select(r => r with { IsMovable = false })] }).Steps, Is.Empty);
        Assert.That(planner.Plan(input with { RunningMoves = 1 }).Steps, Is.Empty);
        var busy = input with { Nodes = [.. input.Nodes.Select(n => n with { IsAvailable = n.NodeId != 2 })] };
        Assert.That(planner.Plan(busy).Steps.Select(s => s.TargetNodeId), Has.None.EqualTo(2));
    }

    [Test]
    public void A_small_gain_is_not_worth_a_move()
    {
        // Node 1 is a little above its fair share, below its limit.
        var table = PlanningSamples.Table(2, 1000, 1, 1, 2, 2);

        Assert.That(new PlacementPlanner(Options).Plan(Input(table, (b, _) => b < 512 ? 0.66 : 0.38)).Steps, Is.Empty);
    }

    [Test]
    public void Plans_are_sound_and_repeatable_for_any_load()
    {
        const int Seed = 31337;
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        for (var round = 0; round < 60; round++)
        {
            var nodes = random.Next(2, 6);
            var table = PlanningSamples.Table(nodes, random.Next(2) == 0 ? 0 : 800, [.. Enumerable.Range(0, random.Next(2, 16)).Select(_ => random.Next(1, nodes + 1))]);
            var loads = Enumerable.Range(0, 1024).Select(_ => random.Next(10) == 0 ? random.NextDouble() * 20 : random.NextDouble()).ToArray();
            var input = Input(table, (b, h) => loads[b] * (1 + (h * 0.1)), (_, _) => 10);
            var plan = new PlacementPlanner(Options).Plan(input);

            var ranges = table.Group(PlanningSamples.Group).Ranges.ToList();
            foreach (var step in plan.Steps)
            {
                var range = ranges.Single(r => r.From == step.From);
                Assert.That((range.To, range.NodeId), Is.EqualTo((step.To, step.SourceNodeId)), $"round {round}: the step acts on a range that exists then");
                ranges.Remove(range);
                if (step.Kind == PlanStepKind.Split)
                {
                    Assert.That(step.SplitAt, Is.GreaterThan(step.From).And.LessThan(step.To ?? long.MaxValue), $"round {round}");
                    ranges.Add(range with { To = step.SplitAt });
                    ranges.Add(range with { From = step.SplitAt!.Value });
                }
                else
                {
                    Assert.That(step.TargetNodeId, Is.Not.EqualTo(step.SourceNodeId).And.InRange(1, nodes), $"round {round}");
                    ranges.Add(range with { NodeId = step.TargetNodeId });
                }
            }

            Assert.That(plan.Projections.Max(p => p.PeakAfter), Is.LessThanOrEqualTo(plan.Projections.Max(p => p.PeakBefore) + 1e-6), $"round {round}: no plan makes the worst node worse");
            Assert.That(new PlacementPlanner(Options).Plan(input).Steps.Select(s => s.Reason), Is.EqualTo(plan.Steps.Select(s => s.Reason)), $"round {round}");
        }
    }
}
