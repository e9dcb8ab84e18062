using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>The comparisons of key columns with constants that hold for relations of RANGE groups.</summary>
internal sealed class KeyLimits
{
    /// <summary>Comparisons of one column; more are left out, which only means that less is known.</summary>
    private const int MaxLimits = 32;

    private readonly Dictionary<(int Relation, string Column), ImmutableArray<KeyLimit>> _limits = [];

    private KeyLimits()
    {
    }

    /// <param name="shape">The statement.</param>
    /// <param name="routing">For the groups' methods.</param>
    /// <param name="tables">Per relation index its placed table, or null.</param>
    /// <param name="isOnlyHere">Whether an unqualified column can only be this relation's.</param>
    public static KeyLimits Read(
        StatementShape shape, RoutingTable routing, PlacedTable?[] tables, Func<StatementShape, PlacedTable?[], RelationUse, string, bool> isOnlyHere)
    {
        var limits = new KeyLimits();
        foreach (var relation in shape.Relations)
        {
            if (tables[relation.Index] is not { Placement: TablePlacement.Sharded } table || relation.HasColumnAliases || routing.Group(table.GroupId).Method != ShardingMethod.Range)
            {
                continue;
            }

            foreach (var bound in relation.Bounds)
            {
                if ((bound.IsQualified || bound.Columns.All(c => isOnlyHere(shape, tables, relation, c))) && Known(table, bound) is { } limit)
                {
                    limits.Add((relation.Index, bound.Columns[0]), limit);
                }
            }
        }

        return limits;
    }

    /// <summary>Those that hold for the key columns from the given one on.</summary>
    public ImmutableArray<KeyLimit> Of(int relation, PlacedTable table, int keyColumn) =>
        _limits.TryGetValue((relation, table.Columns[table.KeyColumns[keyColumn]].Name), out var found) ? found : [];

    /// <summary>What holds for a column holds for one that equals it, as far as one value says. True when that was news.</summary>
    public bool Carry((int Relation, string Column) from, (int Relation, string Column) to)
    {
        if (!_limits.TryGetValue(from, out var found))
        {
            return false;
        }

        var hasNews = false;
        foreach (var limit in found)
        {
            // Of a row comparison the first column is known to be on that side, or equal.
            hasNews |= Add(to, limit.Values.Length == 1 ? limit : limit with { Values = [limit.Values[0]], IsInclusive = true });
        }

        return hasNews;
    }

    // A row comparison counts as far as its columns are key columns that follow each other; rows equal so far may be on either side.
    private static KeyLimit? Known(PlacedTable table, ColumnBound bound)
    {
        var start = 0;
        while (start < table.KeyColumns.Length && !IsNamed(start, bound.Columns[0]))
        {
            start++;
        }

        var count = 0;
        while (count < bound.Columns.Length && start + count < table.KeyColumns.Length && IsNamed(start + count, bound.Columns[count]))
        {
            count++;
        }

        return count == 0 ? null : new KeyLimit(bound.Values[..count], bound.Side, bound.IsInclusive || count < bound.Columns.Length);

        bool IsNamed(int keyColumn, string name) => string.Equals(table.Columns[table.KeyColumns[keyColumn]].Name, name, StringComparison.Ordinal);
    }

    private bool Add((int Relation, string Column) at, KeyLimit limit)
    {
        var known = _limits.GetValueOrDefault(at, []);
        if (known.Length >= MaxLimits || known.Contains(limit))
        {
            return false;
        }

        _limits[at] = known.Add(limit);
        return true;
    }
}
