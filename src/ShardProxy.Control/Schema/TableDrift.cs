using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Schema;

/// <summary>
/// Compares one table on two nodes: columns, defaults, constraints, indexes, triggers, and the labels of its columns' enums. DDL through the proxy keeps them
/// equal; what was done on a node directly does not. Numbers drawn from sequences differ on purpose and are left out, as are the project's own triggers.
/// </summary>
internal static class TableDrift
{
    private const string PartsSql = """
        SELECT format('column %I', a.attname), format('%s%s%s at %s', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
            CASE WHEN a.attgenerated <> '' THEN ' generated' ELSE '' END, row_number() OVER (ORDER BY a.attnum))
        FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT format('default of column %I', a.attname), pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE d.adrelid = $1::regclass
          AND NOT EXISTS (SELECT FROM pg_depend p JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S' WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass)
        UNION ALL
        SELECT format('constraint %I', conname), pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('c', 'p', 'u', 'x', 'f')
        UNION ALL
        SELECT format('index %I', c.relname), pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid THEN '' ELSE ' (invalid)' END
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1::regclass
        UNION ALL
        SELECT format('trigger %I', tgname), pg_get_triggerdef(oid) || ' ' || tgenabled::text FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal AND tgname NOT LIKE '~~shardproxy%'
        UNION ALL
        SELECT 'partition key', pg_get_partkeydef(oid) FROM pg_class WHERE oid = $1::regclass AND relkind = 'p'
        UNION ALL
        SELECT format('place among the partitions of %s', i.inhparent::regclass), pg_get_expr(c.relpartbound, c.oid)
        FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.oid = $1::regclass AND c.relispartition
        UNION ALL
        SELECT format('partition %s', t.relid::regclass), '' FROM pg_partition_tree($1::regclass) t WHERE t.level = 1 AND (SELECT relkind FROM pg_class WHERE oid = $1::regclass) = 'p'
        UNION ALL
        SELECT format('type %s', t.oid::regtype), (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)
        FROM pg_type t WHERE t.typtype = 'e' AND t.oid IN (SELECT coalesce(nullif(b.typelem, 0), b.oid) FROM pg_attribute a JOIN pg_type b ON b.oid = a.atttypid
            WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped)
        """;

    /// <summary>What <see cref="CompareAsync"/> calls an index of that name, which SQL has quoted where it must be.</summary>
    public static string IndexPart(string quotedName) => $"index {quotedName}";

    /// <summary>What differs, in words, sorted; empty when nothing does.</summary>
    /// <param name="table">The table.</param>
    /// <param name="firstNode">One node.</param>
    /// <param name="first">On it.</param>
    /// <param name="secondNode">The other.</param>
    /// <param name="second">On it.</param>
    /// <param name="cancellationToken">Ends the comparison.</param>
    /// <param name="absent">Parts that the second node is known not to have for now; null for none.</param>
    public static async Task<List<string>> CompareAsync(
        QualifiedName table,
        Node firstNode,
        NpgsqlConnection first,
        Node secondNode,
        NpgsqlConnection second,
        CancellationToken cancellationToken,
        IReadOnlySet<string>? absent = null)
    {
        var here = await PartsAsync(first, table, cancellationToken);
        var there = await PartsAsync(second, table, cancellationToken);
        var differences = new List<string>();
        foreach (var part in here.Keys.Union(there.Keys).Where(p => absent?.Contains(p) != true).Order(StringComparer.Ordinal))
        {
            if (!there.TryGetValue(part, out var other))
            {
                differences.Add($"{part} is missing on node {secondNode.Name}");
            }
            else if (!here.TryGetValue(part, out var own))
            {
                differences.Add($"{part} is missing on node {firstNode.Name}");
            }
            else if (!string.Equals(own, other, StringComparison.Ordinal))
            {
                differences.Add($"{part} is another one on node {secondNode.Name} than on node {firstNode.Name}");
            }
        }

        return differences;
    }

    private static async Task<Dictionary<string, string>> PartsAsync(NpgsqlConnection connection, QualifiedName table, CancellationToken cancellationToken) =>
        (await connection.RowsAsync(PartsSql, r => (Part: r.GetString(0), Text: r.IsDBNull(1) ? "" : r.GetString(1)), cancellationToken, table.ToString()))
            .ToDictionary(p => p.Part, p => p.Text, StringComparer.Ordinal);
}
