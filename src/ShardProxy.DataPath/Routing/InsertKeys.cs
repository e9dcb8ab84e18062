using System.Collections.Immutable;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>The keys of the rows an INSERT … VALUES stores.</summary>
internal static class InsertKeys
{
    /// <summary>Adds one lookup a row; false when a row's key is not a constant.</summary>
    public static bool TryAdd(InsertSummary insert, PlacedTable target, List<KeyLookup> lookups)
    {
        if (insert.Source != InsertSource.Values)
        {
            return false;
        }

        var positions = new int[target.KeyColumns.Length];
        for (var k = 0; k < positions.Length; k++)
        {
            positions[k] = Position(insert, target, target.KeyColumns[k]);
            if (positions[k] < 0)
            {
                return false;
            }
        }

        foreach (var row in insert.Rows)
        {
            var key = ImmutableArray.CreateBuilder<ImmutableArray<KeySource>>(positions.Length);
            foreach (var position in positions)
            {
                if (position >= row.Length || row[position] is not { } source)
                {
                    return false;
                }

                key.Add([source]);
            }

            lookups.Add(new KeyLookup(target, key.ToImmutable(), IsAssignment: true));
        }

        return true;
    }

    // Without a column list the values are in table order; generated columns take their place in it.
    private static int Position(InsertSummary insert, PlacedTable target, int keyColumn) => insert.Columns.IsEmpty
        ? keyColumn
        : insert.Columns.IndexOf(target.Columns[keyColumn].Name);
}
