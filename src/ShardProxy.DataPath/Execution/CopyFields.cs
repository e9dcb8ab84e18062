using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>Which fields of a row of COPY data are what.</summary>
/// <param name="Count">Fields of a row.</param>
/// <param name="KeyFields">For each key column, in the key's order, the number of its field, from 0.</param>
internal readonly record struct CopyFields(int Count, int[] KeyFields)
{
    /// <summary>The fields of a COPY whose column list, or whose table when it has none, names the whole key.</summary>
    public static CopyFields Of(CopySummary copy, PlacedTable table)
    {
        var written = Written(copy, table);
        return new CopyFields(written.Length, [.. table.KeyColumns.Select(k => written.IndexOf(table.Columns[k].Name))]);
    }

    /// <summary>The fields' types on the home node; 0 for a column that the table is not known to have.</summary>
    public static uint[] Types(CopySummary copy, PlacedTable table) =>
        [.. Written(copy, table).Select(name => table.Columns.FirstOrDefault(c => c.Name == name)?.TypeOid ?? 0)];

    private static ImmutableArray<string> Written(CopySummary copy, PlacedTable table) =>
        copy.Columns.IsEmpty ? [.. table.Columns.Where(c => !c.IsGenerated).Select(c => c.Name)] : copy.Columns;
}
