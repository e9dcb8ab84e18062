using System.Collections.Immutable;
using System.Globalization;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;

namespace ShardProxy.Control.Planner;

/// <summary>Plans as lines of text, for <c>SHOW PLANS</c> and <c>EXPLAIN PLAN</c>.</summary>
public static class PlanText
{
    /// <summary>One line a step, in order.</summary>
    public static ImmutableArray<string> Steps(PlacementPlan plan, RoutingTable table) => [.. plan.Steps.Select(s => Step(s, table))];

    /// <summary>The whole story: outcome, reason of each step, every node before and after, notices.</summary>
    public static ImmutableArray<string> Explanation(PlacementPlan plan, RoutingTable table)
    {
        var lines = ImmutableArray.CreateBuilder<string>();
        lines.Add(plan.IsReactive ? "made from the present load: the forecasts could not be trusted" : "made from forecasts");
        if (plan.Outcome.Length > 0)
        {
            lines.Add($"outcome: {plan.Outcome}");
        }

        foreach (var step in plan.Steps)
        {
            lines.Add($"{Step(step, table)}: {step.Reason}");
        }

        foreach (var node in plan.Projections)
        {
            lines.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"{Node(node.NodeId, table)}: predicted peak {node.PeakBefore:F0} statements/s, after the plan {node.PeakAfter:F0} (limit {node.Limit:F0})"));
        }

        lines.AddRange(plan.Notices);
        return lines.DrainToImmutable();
    }

    private static string Step(PlanStep step, RoutingTable table) => step.Kind == PlanStepKind.Split
        ? string.Create(CultureInfo.InvariantCulture, $"split {Range(step)} at {step.SplitAt}")
        : $"move {Range(step)} from {Node(step.SourceNodeId, table)} to {Node(step.TargetNodeId, table)}";

    private static string Range(PlanStep step) => step.RangeId > 0
        ? string.Create(CultureInfo.InvariantCulture, $"range {step.RangeId}")
        : string.Create(CultureInfo.InvariantCulture, $"the range that starts at {step.From}");

    private static string Node(int nodeId, RoutingTable table) =>
        table.Nodes.FirstOrDefault(n => n.Id == nodeId)?.Name ?? string.Create(CultureInfo.InvariantCulture, $"node {nodeId}");
}
