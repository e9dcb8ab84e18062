using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace ShardProxy.Catalog.Documents;

/// <summary>
/// The persisted form of <see cref="CatalogState"/>. Field names and numbers are a file format: add, never rename or renumber, and
/// raise <see cref="CurrentFormat"/> when an older reader would misunderstand.
/// </summary>
internal sealed record CatalogDocument
{
    /// <summary>3 knows partitioned tables. A catalog without one is still written as 2 or 1.</summary>
    public const int CurrentFormat = 3;

    /// <summary>RANGE groups, but no partitioned tables.</summary>
    public const int FormatWithScales = 2;

    /// <summary>Hash groups only.</summary>
    public const int FirstFormat = 1;

    public required int Format { get; init; }

    public required long Epoch { get; init; }

    public required long PlacementVersion { get; init; }

    public required int NextNodeId { get; init; }

    public required int NextGroupId { get; init; }

    public required int NextRangeId { get; init; }

    public required int NextMigrationId { get; init; }

    /// <summary>Distinguishes this catalog's objects on a node from another's; empty in catalogs of before.</summary>
    public string ClusterTag { get; init; } = "";

    public ImmutableArray<NodeDocument> Nodes { get; init; } = [];

    public ImmutableArray<GroupDocument> Groups { get; init; } = [];

    public ImmutableArray<TableDocument> Tables { get; init; } = [];

    public ImmutableArray<MoveDocument> Moves { get; init; } = [];

    public ImmutableArray<NameDocument> OpaqueRelations { get; init; } = [];

    public ImmutableArray<string> OpaqueFunctions { get; init; } = [];

    public ImmutableArray<ViewDocument> Views { get; init; } = [];

    public ImmutableArray<string> PureFunctions { get; init; } = [];

    public ImmutableArray<NameDocument> OpaqueTargets { get; init; } = [];

    public ImmutableArray<TypesDocument> Types { get; init; } = [];

    public ImmutableArray<ForeignKeyDocument> ForeignKeys { get; init; } = [];
}

internal sealed record NodeDocument(int Id, string Name, string Host, int Port, double Capacity, bool Home);

/// <summary>Hashes are JSON strings: they do not fit the 53 bits that other readers of JSON keep.</summary>
internal sealed record RangeDocument(
    int Id,
    [property: JsonNumberHandling(JsonNumberHandling.WriteAsString | JsonNumberHandling.AllowReadingFromString)] long From,
    [property: JsonNumberHandling(JsonNumberHandling.WriteAsString | JsonNumberHandling.AllowReadingFromString)] long? To,
    int Node);

/// <summary>A known point of a RANGE group's key space: its position, and the key's values as text.</summary>
internal sealed record MarkDocument(
    [property: JsonNumberHandling(JsonNumberHandling.WriteAsString | JsonNumberHandling.AllowReadingFromString)] long At, ImmutableArray<string> Key);

/// <param name="Marks">For RANGE groups only; the ranges' bounds are positions of marks.</param>
internal sealed record GroupDocument(
    int Id, string Name, int Method, ImmutableArray<int> KeyTypes, ImmutableArray<RangeDocument> Ranges, ImmutableArray<MarkDocument>? Marks = null);

internal sealed record NameDocument(string Schema, string Name);

/// <param name="Node">The node.</param>
/// <param name="Twins">Four numbers a type: form, OID at home, OID on the node, element's OID at home.</param>
internal sealed record TypesDocument(int Node, ImmutableArray<uint> Twins);

internal sealed record ForeignKeyDocument(
    string Name, NameDocument Child, NameDocument Parent, ImmutableArray<string> ChildColumns, ImmutableArray<string> ParentColumns, char OnDelete, char OnUpdate,
    ImmutableArray<string> DeleteSets, bool MovingDefault);

internal sealed record ViewDocument(string Schema, string Name, string Sql, ImmutableArray<string> Readers);

internal sealed record ColumnDocument(string Name, uint Type, int Modifier, bool NotNull, bool Generated)
{
    /// <summary>0 for none.</summary>
    public int DefaultKind { get; init; }

    public string? DefaultText { get; init; }

    public char DefaultIdentity { get; init; } = ' ';
}

internal sealed record TableDocument(
    string Schema, string Name, int Placement, int Group, ImmutableArray<int> Key, ImmutableArray<ColumnDocument> Columns, bool Changing)
{
    public NameDocument? Parent { get; init; }

    public bool Partitioned { get; init; }
}

internal sealed record MoveDocument(int Migration, int Group, int Range, int Source, int Target, int Phase)
{
    public long HeldSince { get; init; }

    public bool ReadAhead { get; init; }
}
