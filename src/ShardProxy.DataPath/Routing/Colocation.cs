using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// Whether joins of a query block can be computed node by node: every row that joins with a row of the first sharded table lies on that row's node.
/// </summary>
internal static class Colocation
{
    /// <summary>The sharded table whose rows the others' go with (see <see cref="Holds"/>), or null when they do not.</summary>
    public static RelationUse? Root(StatementShape shape, PlacedTable?[] placed)
    {
        var sharded = shape.Relations.Where(r => placed[r.Index] is { Placement: TablePlacement.Sharded }).ToList();
        return sharded.Count > 0
            && placed.All(p => p is not null)
            && sharded.TrueForAll(r => !r.HasColumnAliases && placed[r.Index]!.GroupId == placed[sharded[0].Index]!.GroupId)
            ? sharded.Find(root => !root.IsNullable && Reached(shape, placed, root.Index, sharded.Count))
            : null;
    }

    /// <summary>
    /// True when all sharded tables are of one group and, but for one that no outer join can replace by NULLs, reached from that one over equalities of the
    /// whole key. Replicated tables are everywhere; nothing else may be among the relations.
    /// </summary>
    /// <param name="shape">A statement of one block.</param>
    /// <param name="placed">Per relation its table.</param>
    public static bool Holds(StatementShape shape, PlacedTable?[] placed) => Root(shape, placed) is not null;

    private static bool Reached(StatementShape shape, PlacedTable?[] placed, int root, int count)
    {
        var reached = new HashSet<int> { root };
        bool hasGrown;
        do
        {
            hasGrown = false;
            foreach (var relation in shape.Relations)
            {
                if (placed[relation.Index] is { Placement: TablePlacement.Sharded } && !reached.Contains(relation.Index)
                    && reached.Any(from => IsKeyEquated(shape, placed, from, relation.Index)))
                {
                    hasGrown |= reached.Add(relation.Index);
                }
            }
        }
        while (hasGrown);

        return reached.Count == count;
    }

    private static bool IsKeyEquated(StatementShape shape, PlacedTable?[] placed, int from, int to)
    {
        var (table, other) = (placed[from]!, placed[to]!);
        for (var i = 0; i < table.KeyColumns.Length; i++)
        {
            var column = table.Columns[table.KeyColumns[i]];
            var otherColumn = other.Columns[other.KeyColumns[i]];
            if (column.TypeOid != otherColumn.TypeOid || !shape.Equalities.Contains(new ColumnEquality(from, column.Name, to, otherColumn.Name)))
            {
                return false;
            }
        }

        return true;
    }
}
