using System.Collections.Frozen;
using System.Collections.Immutable;
using ShardProxy.Model.Topology;

namespace ShardProxy.Model.Routing;

/// <summary>
/// Immutable snapshot of where everything lives. Swapped whole; a statement reads it once and uses that one snapshot.
/// </summary>
public sealed class RoutingTable
{
    private readonly FrozenDictionary<QualifiedName, PlacedTable> _tables;
    private readonly FrozenDictionary<int, TableGroup> _groups;
    private readonly FrozenDictionary<int, Node> _nodes;
    private readonly FrozenSet<string> _placedNames;

    public RoutingTable(
        long epoch,
        long placementVersion,
        ImmutableArray<Node> nodes,
        ImmutableArray<TableGroup> groups,
        ImmutableArray<PlacedTable> tables,
        ImmutableArray<RangeMove> moves,
        ImmutableArray<QualifiedName> opaqueRelations,
        ImmutableArray<string> opaqueFunctions)
    {
        Epoch = epoch;
        PlacementVersion = placementVersion;
        Nodes = nodes;
        Groups = groups;
        Tables = tables;
        Moves = moves;
        OpaqueRelations = opaqueRelations.ToFrozenSet();
        OpaqueFunctions = opaqueFunctions.ToFrozenSet(StringComparer.Ordinal);
        _tables = tables.ToFrozenDictionary(t => t.Name);
        _groups = groups.ToFrozenDictionary(g => g.Id);
        _nodes = nodes.ToFrozenDictionary(n => n.Id);
        _placedNames = tables.Select(t => t.Name.Name).Concat(opaqueRelations.Select(r => r.Name)).ToFrozenSet(StringComparer.Ordinal);
        HomeNode = nodes.Single(n => n.IsHome);
    }

    /// <summary>Version number; every change has a higher one.</summary>
    public long Epoch { get; }

    /// <summary>
    /// Changes only when tables, columns, groups' keys or opaque relations change, not when a range moves: what a cached routing
    /// plan of a statement shape depends on.
    /// </summary>
    public long PlacementVersion { get; }

    public ImmutableArray<Node> Nodes { get; }

    public ImmutableArray<TableGroup> Groups { get; }

    public ImmutableArray<PlacedTable> Tables { get; }

    public ImmutableArray<RangeMove> Moves { get; }

    /// <summary>The node with the unsharded tables.</summary>
    public Node HomeNode { get; }

    /// <summary>Views, materialised views and the like that read sharded tables: the home node alone cannot answer them.</summary>
    public FrozenSet<QualifiedName> OpaqueRelations { get; }

    /// <summary>Unqualified names of user functions whose body names a sharded or replicated table.</summary>
    public FrozenSet<string> OpaqueFunctions { get; }

    /// <summary>What else is known of views, functions and triggers.</summary>
    public SchemaKnowledge Schema { get; init; } = SchemaKnowledge.Empty;

    /// <summary>The placed table of that name, or null when the name is unsharded (or does not exist).</summary>
    public PlacedTable? FindTable(QualifiedName name) => _tables.GetValueOrDefault(name);

    /// <summary>True when any schema has a placed or opaque relation of this unqualified name.</summary>
    public bool IsPlacedName(string unqualifiedName) => _placedNames.Contains(unqualifiedName);

    /// <summary>The group of that id; the id must exist.</summary>
    public TableGroup Group(int groupId) => _groups[groupId];

    /// <summary>The group of that id, or null.</summary>
    public TableGroup? FindGroup(int groupId) => _groups.GetValueOrDefault(groupId);

    /// <summary>The node of that id; the id must exist.</summary>
    public Node Node(int nodeId) => _nodes[nodeId];

    /// <summary>The node of that name, or null.</summary>
    public Node? FindNode(string name) => Nodes.FirstOrDefault(n => string.Equals(n.Name, name, StringComparison.Ordinal));

    /// <summary>The range of that id with its group, or null.</summary>
    public ShardRange? FindRange(int rangeId)
    {
        foreach (var group in Groups)
        {
            foreach (var range in group.Ranges)
            {
                if (range.Id == rangeId)
                {
                    return range;
                }
            }
        }

        return null;
    }

    /// <summary>The running move of a range, or null. Moves are few: a scan is cheapest.</summary>
    public RangeMove? MoveOf(int rangeId)
    {
        foreach (var move in Moves)
        {
            if (move.RangeId == rangeId)
            {
                return move;
            }
        }

        return null;
    }
}
