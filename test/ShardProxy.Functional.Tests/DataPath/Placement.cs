using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Makes routing tables by hand: one hash group a list of key types, four ranges a group whose owners take turns. Range ids are the group's
/// id times 100 plus 1, 2, 3, 4.
/// </summary>
internal sealed class Placement
{
    private readonly List<(QualifiedName Name, ImmutableArray<TableColumn> Columns, ImmutableArray<int> Key)> _tables = [];

    /// <summary>A column list such as <c>"id int4, name text"</c>, every column NOT NULL if it is a key.</summary>
    public Placement Sharded(string name, string columns, params string[] key)
    {
        var all = Parse(columns);
        _tables.Add((new QualifiedName("public", name), all, [.. key.Select(k => all.Select(c => c.Name).ToList().IndexOf(k))]));
        return this;
    }

    public Placement Replicated(string name, string columns)
    {
        _tables.Add((new QualifiedName("public", name), Parse(columns), []));
        return this;
    }

    public RoutingTable Build(ImmutableArray<Node> nodes)
    {
        var groups = new List<TableGroup>();
        var tables = ImmutableArray.CreateBuilder<PlacedTable>();
        foreach (var (name, columns, key) in _tables)
        {
            var groupId = 0;
            if (key.Length > 0)
            {
                ImmutableArray<KeyType> types = [.. key.Select(k => KeyTypes.FromOid(columns[k].TypeOid)!.Value)];
                var group = groups.Find(g => g.KeyTypes.SequenceEqual(types));
                if (group is null)
                {
                    group = NewGroup(groups.Count + 1, types, nodes);
                    groups.Add(group);
                }

                groupId = group.Id;
            }

            tables.Add(new PlacedTable
            {
                Name = name,
                Placement = key.Length > 0 ? TablePlacement.Sharded : TablePlacement.Replicated,
                GroupId = groupId,
                KeyColumns = key,
                Columns = columns,
            });
        }

        return new RoutingTable(1, 1, nodes, [.. groups], tables.ToImmutable(), [], [], []);
    }

    /// <summary>The next epoch with other moves.</summary>
    public static RoutingTable WithMoves(RoutingTable table, params ImmutableArray<RangeMove> moves) => new(
        table.Epoch + 1, table.PlacementVersion, table.Nodes, table.Groups, table.Tables, moves, [.. table.OpaqueRelations], [.. table.OpaqueFunctions]);

    /// <summary>The next epoch, without moves, with another owner of one range.</summary>
    public static RoutingTable WithOwner(RoutingTable table, int rangeId, int nodeId) => new(
        table.Epoch + 1,
        table.PlacementVersion,
        table.Nodes,
        [.. table.Groups.Select(g => g.WithRanges([.. g.Ranges.Select(r => r.Id == rangeId ? r with { NodeId = nodeId } : r)]))],
        table.Tables,
        [],
        [.. table.OpaqueRelations],
        [.. table.OpaqueFunctions]);

    private static TableGroup NewGroup(int id, ImmutableArray<KeyType> types, ImmutableArray<Node> nodes)
    {
        long[] starts = [long.MinValue, long.MinValue / 2, 0, long.MaxValue / 2];
        return new TableGroup(
            id, $"g{id}", ShardingMethod.Hash, types,
            [.. starts.Select((from, i) => new ShardRange((id * 100) + i + 1, id, from, i + 1 < starts.Length ? starts[i + 1] : null, nodes[i % nodes.Length].Id))]);
    }

    private static ImmutableArray<TableColumn> Parse(string columns) =>
        [.. columns.Split(',', StringSplitOptions.TrimEntries).Select(c => c.Split(' ')).Select(c => new TableColumn(c[0], Oid(c[1]), c.Length > 2 ? int.Parse(c[2], System.Globalization.CultureInfo.InvariantCulture) + 4 : -1, true, false))];

    private static uint Oid(string type) => type switch
    {
        "int2" => 21,
        "int4" => 23,
        "int8" => 20,
        "text" => 25,
        "varchar" => 1043,
        "uuid" => 2950,
        "numeric" => 1700,
        "timestamptz" => 1184,
        "timestamp" => 1114,
        "date" => 1082,
        "_text" => 1009,
        "jsonb" => 3802,
        "float8" => 701,
        _ => throw new ArgumentException(type),
    };
}
