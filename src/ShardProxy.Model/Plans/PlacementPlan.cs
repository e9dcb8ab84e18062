using System.Collections.Immutable;

namespace ShardProxy.Model.Plans;

/// <summary>A proposed change of placement: steps in order, each with its reason and its projected effect.</summary>
public sealed record PlacementPlan
{
    /// <summary>Number as in <c>SHOW PLANS</c>; 0 until the planner loop gives one.</summary>
    public int Id { get; init; }

    /// <summary>When the plan was made.</summary>
    public required DateTimeOffset MadeAt { get; init; }

    /// <summary>Epoch of the routing table it was made for.</summary>
    public required long Epoch { get; init; }

    /// <summary>True when it acts on the present load because the forecasts could not be trusted.</summary>
    public required bool IsReactive { get; init; }

    /// <summary>Steps in the order they have to be done; empty when nothing is worth doing.</summary>
    public required ImmutableArray<PlanStep> Steps { get; init; }

    /// <summary>Every node before and after the whole plan.</summary>
    public required ImmutableArray<NodeProjection> Projections { get; init; }

    /// <summary>What the plan is for, or why there is nothing to do.</summary>
    public required string Reason { get; init; }

    /// <summary>Things an operator should know that no step can mend, such as a single bucket hotter than a node.</summary>
    public ImmutableArray<string> Notices { get; init; } = [];

    public PlanState State { get; init; } = PlanState.Proposed;

    /// <summary>What became of it, once known.</summary>
    public string Outcome { get; init; } = "";

    /// <summary>When the state last changed.</summary>
    public DateTimeOffset? StateSince { get; init; }

    public bool IsEmpty => Steps.IsEmpty;
}
