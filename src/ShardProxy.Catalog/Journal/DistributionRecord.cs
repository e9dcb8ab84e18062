using System.Collections.Immutable;

namespace ShardProxy.Catalog.Journal;

/// <summary>How far SHARD TABLE or REPLICATE TABLE has come. Stored by name.</summary>
public enum DistributionPhase
{
    /// <summary>The home node still has every row: undo by dropping the table elsewhere.</summary>
    Copying,

    /// <summary>Every node has its rows, verified and durable: go on by deleting the foreign ones at home.</summary>
    Switching,
}

/// <summary>A table being distributed, written before anything is done, removed when nothing is left to do.</summary>
/// <param name="Schema">Of the table.</param>
/// <param name="Name">Of the table.</param>
/// <param name="Phase">How far it is.</param>
/// <param name="MadeNotNull">Key columns that were given NOT NULL for it.</param>
public sealed record DistributionRecord(string Schema, string Name, DistributionPhase Phase, ImmutableArray<string> MadeNotNull)
{
    /// <summary>Who is at it: another value for each run, and for who takes it over.</summary>
    public string Run { get; init; } = "";
}
