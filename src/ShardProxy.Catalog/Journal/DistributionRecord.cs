using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace ShardProxy.Catalog.Journal;

/// <summary>How far SHARD TABLE or REPLICATE TABLE has come. Stored by name.</summary>
public enum DistributionPhase
{
    /// <summary>The home node still has every row: undo by dropping the table elsewhere.</summary>
    Copying,

    /// <summary>Every node has its rows, verified and durable: go on by deleting the foreign ones at home.</summary>
    Switching,

    /// <summary>The table is sharded, with rows where they do not belong yet: go on by moving ranges.</summary>
    Spreading,

    /// <summary>The table is to be unsharded: go on by moving its ranges to the home node, then take it out of the catalog.</summary>
    Gathering,
}

/// <summary>A range as it is to be when all rows are where they belong.</summary>
/// <param name="Id">Its id.</param>
/// <param name="From">Inclusive lower bound.</param>
/// <param name="To">Exclusive upper bound, null for the last.</param>
/// <param name="NodeId">The owner.</param>
public sealed record PlannedRange(
    int Id,
    [property: JsonNumberHandling(JsonNumberHandling.WriteAsString | JsonNumberHandling.AllowReadingFromString)] long From,
    [property: JsonNumberHandling(JsonNumberHandling.WriteAsString | JsonNumberHandling.AllowReadingFromString)] long? To,
    int NodeId);

/// <summary>A table being distributed, written before anything is done, removed when nothing is left to do.</summary>
/// <param name="Schema">Of the table.</param>
/// <param name="Name">Of the table.</param>
/// <param name="Phase">How far it is.</param>
/// <param name="MadeNotNull">Key columns that were given NOT NULL for it.</param>
public sealed record DistributionRecord(string Schema, string Name, DistributionPhase Phase, ImmutableArray<string> MadeNotNull)
{
    /// <summary>Who is at it: another value for each run, and for who takes it over.</summary>
    public string Run { get; init; } = "";

    /// <summary>The group's ranges in the end, where the rows are moved behind the placement; empty where they are not.</summary>
    public ImmutableArray<PlannedRange> Plan { get; init; } = [];

    /// <summary>Schema and name of the table whose group it joins in the end; null for a group of its own.</summary>
    public ImmutableArray<string>? Beside { get; init; }
}
