namespace ShardProxy.TestKit.Differential;

/// <summary>What a differential run does.</summary>
public sealed record DifferentialOptions
{
    /// <summary>Statements to compare.</summary>
    public int Statements { get; init; } = 5_000;

    /// <summary>Replays a run's statements.</summary>
    public required int Seed { get; init; }

    /// <summary>PostgreSQL servers.</summary>
    public int Nodes { get; init; } = 3;

    /// <summary>Ranges are moved between the nodes meanwhile.</summary>
    public bool Moves { get; init; }

    /// <summary>Only categories whose names contain this; null for all.</summary>
    public string? Category { get; init; }

    /// <summary>Some refused statements of each category are printed.</summary>
    public bool ShowsRefused { get; init; }

    /// <summary>After so many findings the run ends.</summary>
    public int MaxFindings { get; init; } = 25;
}
