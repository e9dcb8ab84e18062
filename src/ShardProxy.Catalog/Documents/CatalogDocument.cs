using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace ShardProxy.Catalog.Documents;

/// <summary>
/// The persisted form of <see cref="CatalogState"/>. Field names and numbers are a file format: add, never rename or renumber, and
/// raise <see cref="CurrentFormat"/> when an older reader would misunderstand.
/// </summary>
internal sealed record CatalogDocument
{
    public const int CurrentFormat = 1;

    public required int Format { get; init; }

    public required long Epoch { get; init; }

    public required long PlacementVersion { get; init; }

    public required int NextNodeId { get; init; }

    public required int NextGroupId { get; init; }

    public required int NextRangeId { get; init; }

    public required int NextMigrationId { get; init; }

    public ImmutableArray<NodeDocument> Nodes { get; init; } = [];

    public ImmutableArray<GroupDocument> Groups { get; init; } = [];

    public ImmutableArray<TableDocument> Tables { get; init; } = [];

    public ImmutableArray<MoveDocument> Moves { get; init; } = [];

    public ImmutableArray<NameDocument> OpaqueRelations { get; init; } = [];

    public ImmutableArray<string> OpaqueFunctions { get; init; } = [];
}

internal sealed record NodeDocument(int Id, string Name, string Host, int Port, double Capacity, bool Home);

/// <summary>Hashes are JSON strings: they do not fit the 53 bits that other readers of JSON keep.</summary>
internal sealed record RangeDocument(
    int Id,
    [property: JsonNumberHandling(JsonNumberHandling.WriteAsString | JsonNumberHandling.AllowReadingFromString)] long From,
    [property: JsonNumberHandling(JsonNumberHandling.WriteAsString | JsonNumberHandling.AllowReadingFromString)] long? To,
    int Node);

internal sealed record GroupDocument(int Id, string Name, int Method, ImmutableArray<int> KeyTypes, ImmutableArray<RangeDocument> Ranges);

internal sealed record NameDocument(string Schema, string Name);

internal sealed record ColumnDocument(string Name, uint Type, int Modifier, bool NotNull, bool Generated)
{
    /// <summary>0 for none.</summary>
    public int DefaultKind { get; init; }

    public string? DefaultText { get; init; }

    public char DefaultIdentity { get; init; } = ' ';
}

internal sealed record TableDocument(
    string Schema, string Name, int Placement, int Group, ImmutableArray<int> Key, ImmutableArray<ColumnDocument> Columns, bool Changing);

internal sealed record MoveDocument(int Migration, int Group, int Range, int Source, int Target, int Phase);
