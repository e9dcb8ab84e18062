using System.Collections.Immutable;
using ShardProxy.Model.Plans;

namespace ShardProxy.Control.Planner;

/// <summary>What the planner saw, expects and means to do: a frozen snapshot for the console and for metrics.</summary>
public sealed record PlannerView
{
    internal static readonly PlannerView Empty = new();

    /// <summary>When forecasts and loads were last made; null before the first time.</summary>
    public DateTimeOffset? MadeAt { get; init; }

    /// <summary>End of the bin that <see cref="Nodes"/> and <see cref="Ranges"/> show; null before the first complete one.</summary>
    public DateTimeOffset? BinEnd { get; init; }

    /// <summary>The mode of groups that have none of their own.</summary>
    public PlannerMode Mode { get; init; }

    /// <summary>Groups with a mode of their own.</summary>
    public ImmutableSortedDictionary<int, PlannerMode> GroupModes { get; init; } = ImmutableSortedDictionary<int, PlannerMode>.Empty;

    /// <summary>Newest plan first.</summary>
    public ImmutableArray<PlacementPlan> Plans { get; init; } = [];

    /// <summary>By group, range and step.</summary>
    public ImmutableArray<ForecastRow> Forecasts { get; init; } = [];

    /// <summary>By node.</summary>
    public ImmutableArray<NodeLoadRow> Nodes { get; init; } = [];

    /// <summary>By group and key order.</summary>
    public ImmutableArray<RangeLoadRow> Ranges { get; init; } = [];

    /// <summary>What the newest planning round found; also when it made no plan.</summary>
    public string LastFinding { get; init; } = "";

    /// <summary>Last notices, such as a single bucket hotter than a node.</summary>
    public ImmutableArray<string> Notices { get; init; } = [];
}
