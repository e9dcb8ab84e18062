using System.Collections.Immutable;

namespace ShardProxy.Planning.Placement;

/// <summary>Everything the planner looks at.</summary>
public sealed record PlacementInput
{
    public required DateTimeOffset Now { get; init; }

    public required long Epoch { get; init; }

    /// <summary>Nodes in the order of their ids.</summary>
    public required ImmutableArray<NodeSupply> Nodes { get; init; }

    /// <summary>Every range of every group; all forecasts have the same horizon and first bin.</summary>
    public required ImmutableArray<RangeDemand> Ranges { get; init; }

    /// <summary>Moves done lately, in any order.</summary>
    public ImmutableArray<PastMove> PastMoves { get; init; } = [];

    /// <summary>Migrations running now.</summary>
    public int RunningMoves { get; init; }
}
