using System.Collections.Immutable;

namespace ShardProxy.Model.Plans;

/// <summary>What a step does.</summary>
public enum PlanStepKind
{
    /// <summary>Cut a range in two at <see cref="PlanStep.SplitAt"/>: metadata only, no row moves.</summary>
    Split = 1,

    /// <summary>Move a range to another node.</summary>
    Move = 2,
}

/// <summary>
/// One step of a plan. The range is named by where it starts: a piece that an earlier step of the same plan cuts off has no id
/// yet, and its start does not change until then.
/// </summary>
public sealed record PlanStep
{
    public required PlanStepKind Kind { get; init; }

    public required int GroupId { get; init; }

    /// <summary>The range's id, or 0 when an earlier step of this plan makes the range.</summary>
    public required int RangeId { get; init; }

    /// <summary>Inclusive lower bound of the range the step acts on.</summary>
    public required long From { get; init; }

    /// <summary>Exclusive upper bound of the range the step acts on; null when it is the group's last.</summary>
    public required long? To { get; init; }

    /// <summary>Split only: the hash the upper half starts at.</summary>
    public long? SplitAt { get; init; }

    /// <summary>The owner.</summary>
    public required int SourceNodeId { get; init; }

    /// <summary>Move only: the new owner; for a split the present one.</summary>
    public required int TargetNodeId { get; init; }

    /// <summary>Bytes a move is expected to copy; 0 for a split or when sizes are unknown.</summary>
    public long Bytes { get; init; }

    /// <summary>Why, in one or two sentences with figures.</summary>
    public required string Reason { get; init; }

    /// <summary>Every node before and after this step, in node order; empty for a split, which moves no load.</summary>
    public ImmutableArray<NodeProjection> Projections { get; init; } = [];
}
