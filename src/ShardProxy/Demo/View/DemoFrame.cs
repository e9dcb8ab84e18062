using System.Collections.Immutable;

namespace ShardProxy.Demo.View;

/// <summary>Everything the live view shows at one moment.</summary>
internal sealed record DemoFrame
{
    public required string Phase { get; init; }

    /// <summary>Since the workload began.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Of the workload, both phases.</summary>
    public required TimeSpan Total { get; init; }

    /// <summary>1 is the first day of the phase.</summary>
    public required int Day { get; init; }

    public required ImmutableArray<NodeFrame> Nodes { get; init; }

    /// <summary>In key order.</summary>
    public required ImmutableArray<RangeFrame> Ranges { get; init; }

    public required ImmutableArray<DemoConsole.MigrationRow> Migrations { get; init; }

    /// <summary>What the newest plan is for.</summary>
    public required string Plan { get; init; }

    /// <summary>Of the last second or so.</summary>
    public required double P50Ms { get; init; }

    public required double P99Ms { get; init; }

    /// <summary>99th percentile of the whole phase without the planner, once it is over.</summary>
    public required double? OffP99Ms { get; init; }

    public required long Errors { get; init; }

    public required long Open { get; init; }

    /// <summary>One node.</summary>
    /// <param name="PerSecond">Statements let through.</param>
    /// <param name="Capacity">Its cap.</param>
    /// <param name="Forecast">What was forecast for now; null without a forecast.</param>
    /// <param name="Waiting">Statements at its gate.</param>
    internal sealed record NodeFrame(string Name, double PerSecond, double Capacity, double? Forecast, int Waiting);

    /// <summary>One range.</summary>
    internal sealed record RangeFrame(int Id, string Node, string State, double PerSecond, double? Forecast);
}
