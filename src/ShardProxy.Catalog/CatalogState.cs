using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Catalog;

/// <summary>
/// What the catalog holds to be true about placement, as one immutable value. A change is a function from one state to the next,
/// made true by compare-and-set (<see cref="RoutingCatalog"/>), which also gives it its epoch.
/// </summary>
public sealed record CatalogState
{
    /// <summary>A catalog without nodes; the home node must be added before a routing table can be made of it.</summary>
    public static readonly CatalogState Empty = new();

    public long Epoch { get; init; }

    /// <summary>Raise it with every change to tables, columns, group keys or opaque names: cached routing plans depend on it.</summary>
    public long PlacementVersion { get; init; }

    public ImmutableArray<Node> Nodes { get; init; } = [];

    public ImmutableArray<TableGroup> Groups { get; init; } = [];

    public ImmutableArray<PlacedTable> Tables { get; init; } = [];

    public ImmutableArray<RangeMove> Moves { get; init; } = [];

    public ImmutableArray<QualifiedName> OpaqueRelations { get; init; } = [];

    public ImmutableArray<string> OpaqueFunctions { get; init; } = [];

    public SchemaKnowledge Schema { get; init; } = SchemaKnowledge.Empty;

    /// <summary>Ids are never reused: the next one of each kind.</summary>
    public int NextNodeId { get; init; } = 1;

    public int NextGroupId { get; init; } = 1;

    public int NextRangeId { get; init; } = 1;

    public int NextMigrationId { get; init; } = 1;

    /// <summary>
    /// Part of the names of slots, publications and subscriptions, so that two clusters of proxies may share a server; lower-case letters and digits, given once, or empty.
    /// </summary>
    public string ClusterTag { get; init; } = "";

    /// <summary>The state as the data path reads it.</summary>
    public RoutingTable ToRoutingTable() => new(Epoch, PlacementVersion, Nodes, Groups, Tables, Moves, OpaqueRelations, OpaqueFunctions) { Schema = Schema };

    public ShardRange? FindRange(int rangeId) => Groups.SelectMany(g => g.Ranges).FirstOrDefault(r => r.Id == rangeId);

    public RangeMove? FindMove(int migrationId) => Moves.FirstOrDefault(m => m.MigrationId == migrationId);

    public PlacedTable? FindTable(QualifiedName name) => Tables.FirstOrDefault(t => t.Name == name);

    /// <summary>A table and all partitions below it, parents first.</summary>
    public ImmutableArray<PlacedTable> FindTree(QualifiedName name)
    {
        var tree = Tables.Where(t => t.Name == name).ToList();
        for (var i = 0; i < tree.Count; i++)
        {
            tree.AddRange(Tables.Where(t => t.Parent == tree[i].Name));
        }

        return [.. tree];
    }

    /// <summary>The same state with one range replaced by others that cover exactly the same interval.</summary>
    public CatalogState WithRange(int rangeId, params ImmutableArray<ShardRange> replacement)
    {
        var group = Groups.Single(g => g.Ranges.Any(r => r.Id == rangeId));
        var ranges = group.Ranges.SelectMany(r => r.Id == rangeId ? replacement : [r]).ToImmutableArray();
        return this with { Groups = Groups.Replace(group, group.WithRanges(ranges)) };
    }

    /// <summary>The same state with the move of that migration set, or removed when null.</summary>
    public CatalogState WithMove(int migrationId, RangeMove? move)
    {
        var others = Moves.RemoveAll(m => m.MigrationId == migrationId);
        return this with { Moves = move is null ? others : others.Add(move) };
    }

    /// <summary>The same state with that table added, or put in the place of the one of the same name.</summary>
    public CatalogState WithTable(PlacedTable table) => this with
    {
        Tables = Tables.RemoveAll(t => t.Name == table.Name).Add(table),
        PlacementVersion = PlacementVersion + 1,
    };

    /// <summary>The same state without that table and its partitions, and without its group when it was the group's last.</summary>
    public CatalogState WithoutTable(QualifiedName name)
    {
        var tree = FindTree(name);
        var tables = Tables.RemoveAll(tree.Contains);
        var groups = Groups.RemoveAll(g => tables.All(t => t.GroupId != g.Id));
        return this with { Tables = tables, Groups = groups, PlacementVersion = PlacementVersion + 1 };
    }
}
