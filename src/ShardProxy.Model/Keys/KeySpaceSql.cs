using System.Collections.Immutable;
using System.Globalization;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Model.Keys;

/// <summary>
/// SQL text of a key's place in the key space and of predicates on it. Only immutable built-in functions and operators, all
/// schema-qualified, so that the text means the same under any <c>search_path</c> and is allowed in WHERE, in a publication's row
/// filter and in a trigger's WHEN.
/// </summary>
public static class KeySpaceSql
{
    /// <summary>The hash of the key, a bigint: the SQL twin of <see cref="KeyHash"/>.</summary>
    /// <param name="columns">The key's columns in key order; at least one.</param>
    /// <remarks>int2 and int4 columns reach hashint8extended through PostgreSQL's implicit cast to bigint.</remarks>
    public static string HashExpression(ImmutableArray<KeyColumn> columns)
    {
        if (columns.IsDefaultOrEmpty)
        {
            throw new ArgumentException("a key has at least one column", nameof(columns));
        }

        var sql = Constant(KeyHash.FirstSeed);
        for (var i = columns.Length - 1; i >= 0; i--)
        {
            sql = $"{KeyTypes.HashFunction(columns[i].Type)}({columns[i].Expression}, {sql})";
        }

        return sql;
    }

    /// <summary>True for the rows of one range. Always in parentheses.</summary>
    public static string RangePredicate(ImmutableArray<KeyColumn> columns, ShardRange range) => OwnedPredicate(columns, [range]);

    /// <summary>
    /// True for the rows of any of the ranges. Neighbours are merged, so the text is as short as the set allows; an empty set gives
    /// <c>(false)</c>, a set that covers the key space <c>(true)</c>. Always in parentheses.
    /// </summary>
    /// <param name="columns">The key's columns in key order.</param>
    /// <param name="ranges">Ranges of one group in any order; they may not overlap.</param>
    public static string OwnedPredicate(ImmutableArray<KeyColumn> columns, ImmutableArray<ShardRange> ranges)
    {
        var hash = HashExpression(columns);
        var intervals = Merge(ranges);
        if (intervals.Count == 0)
        {
            return "(false)";
        }

        return "(" + string.Join(" OR ", intervals.Select(i => Interval(hash, i.From, i.To, intervals.Count > 1))) + ")";
    }

    /// <summary>True for the rows of any of the ranges of a group, whatever its method. Always in parentheses.</summary>
    /// <inheritdoc cref="OwnedPredicate(ImmutableArray{KeyColumn}, ImmutableArray{ShardRange})"/>
    /// <param name="group">The group of the ranges.</param>
    /// <param name="columns">The key's columns in key order.</param>
    /// <param name="ranges">Ranges of the group in any order; they may not overlap.</param>
    public static string OwnedPredicate(TableGroup group, ImmutableArray<KeyColumn> columns, ImmutableArray<ShardRange> ranges)
    {
        if (group.Scale is not { } scale)
        {
            return OwnedPredicate(columns, ranges);
        }

        var intervals = Merge(ranges);
        return intervals.Count == 0 ? "(false)" : "(" + string.Join(" OR ", intervals.Select(i => (Lower(i.From), Upper(i.To)) switch
        {
            (null, null) => "true",
            ({ } only, null) => only,
            (null, { } only) => only,
            ({ } first, { } second) => $"({first} AND {second})",
        })) + ")";

        string? Lower(long from) => from == long.MinValue ? null : AtLeast(columns, scale.At(from)!.Bound.Values, 0);
        string? Upper(long? to) => to is { } end ? Below(columns, scale.At(end)!.Bound.Values, 0) : null;
    }

    // Row comparisons are written out, each part also true by itself, so that an index on the first columns serves and row filters take it.
    private static string AtLeast(ImmutableArray<KeyColumn> columns, ImmutableArray<string> values, int i)
    {
        var least = Compare(columns[i], ">=", values[i]);
        return i + 1 == values.Length ? least : $"({least} AND ({Compare(columns[i], ">", values[i])} OR {AtLeast(columns, values, i + 1)}))";
    }

    private static string Below(ImmutableArray<KeyColumn> columns, ImmutableArray<string> values, int i) => i + 1 == values.Length
        ? Compare(columns[i], "<", values[i])
        : $"({Compare(columns[i], "<=", values[i])} AND ({Compare(columns[i], "<", values[i])} OR {Below(columns, values, i + 1)}))";

    // Text is compared by bytes whatever the column's collation is, as the proxy does.
    private static string Compare(KeyColumn column, string comparison, string value) =>
        $"{column.Expression} OPERATOR(pg_catalog.{comparison}) {SqlIdentifier.Literal(value)}::{KeyTypes.FamilySql(column.Type)}"
        + (KeyTypes.Family(column.Type) == KeyType.Text ? " COLLATE pg_catalog.\"C\"" : "");

    private static string Interval(string hash, long from, long? to, bool isOneOfSeveral)
    {
        var lower = from == long.MinValue ? null : $"{hash} OPERATOR(pg_catalog.>=) {Constant(from)}";
        var upper = to is { } bound ? $"{hash} OPERATOR(pg_catalog.<) {Constant(bound)}" : null;
        return (lower, upper) switch
        {
            (null, null) => "true",
            ({ } only, null) => only,
            (null, { } only) => only,
            ({ } first, { } second) => isOneOfSeveral ? $"({first} AND {second})" : $"{first} AND {second}",
        };
    }

    private static List<(long From, long? To)> Merge(ImmutableArray<ShardRange> ranges)
    {
        var merged = new List<(long From, long? To)>(ranges.Length);
        foreach (var range in ranges.OrderBy(r => r.From))
        {
            if (merged.Count > 0 && merged[^1].To is var end && (end is null || end > range.From))
            {
                throw new ArgumentException($"range {range.Id} overlaps another", nameof(ranges));
            }

            if (merged.Count > 0 && merged[^1].To == range.From)
            {
                merged[^1] = (merged[^1].From, range.To);
            }
            else
            {
                merged.Add((range.From, range.To));
            }
        }

        return merged;
    }

    // A quoted constant needs no care for unary minus, and its type is bigint whatever its size.
    private static string Constant(long value) => $"'{value.ToString(CultureInfo.InvariantCulture)}'::pg_catalog.int8";
}
