using System.Collections.Immutable;

namespace ShardProxy.Catalog.Fleet;

/// <summary>
/// What a proxy tells the others, in a document of its own that only it writes, but for its expulsion. A proxy that does not change it for a while is silent.
/// </summary>
public sealed record ProxyRecord
{
    public required string Id { get; init; }

    /// <summary>Under which its server connections are known on the nodes.</summary>
    public required string Instance { get; init; }

    /// <summary>The instance of the process from which it has taken over and which may serve clients still; null for none.</summary>
    public string? Predecessor { get; init; }

    /// <summary>Counts up while it lives.</summary>
    public long Beat { get; init; }

    /// <summary>New statements are routed by this epoch's table.</summary>
    public long Epoch { get; init; }

    /// <summary>Statements begun by tables before this epoch have ended.</summary>
    public long DrainedEpoch { get; init; }

    /// <summary>Held ranges on which no transaction is left.</summary>
    public ImmutableArray<DrainedRange> DrainedRanges { get; init; } = [];

    /// <summary>Where clients connect, for people.</summary>
    public string Address { get; init; } = "";

    /// <summary>It moves ranges and places tables, for people.</summary>
    public bool Leads { get; init; }

    /// <summary>Migrations whose rollback window clients wait for here.</summary>
    public ImmutableArray<int> InTheWay { get; init; } = [];

    /// <summary>UTC.</summary>
    public DateTimeOffset StartedAt { get; init; }

    /// <summary>It was silent for too long: its instance is to be barred on every node, and its document is not its own any more.</summary>
    public bool IsExpelled { get; init; }

    /// <summary>The instance is barred on every node and none of its server connections is left.</summary>
    public bool IsBarred { get; init; }
}

/// <summary>No transaction that touched the range is left since its work is held.</summary>
/// <param name="RangeId">The range.</param>
/// <param name="Epoch">By which table it was held when that was found.</param>
public sealed record DrainedRange(int RangeId, long Epoch);
