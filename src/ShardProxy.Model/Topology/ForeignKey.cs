using System.Collections.Immutable;
using System.Text.Json;

namespace ShardProxy.Model.Topology;

/// <summary>A foreign key as the home node's catalogs describe it, as far as it matters where its two tables are. Immutable, equal by value.</summary>
/// <param name="Name">The constraint's name.</param>
/// <param name="Child">The table that references.</param>
/// <param name="Parent">The table that is referenced.</param>
/// <param name="ChildColumns">The referencing columns, in the constraint's order.</param>
/// <param name="ParentColumns">The referenced columns, one for each of <paramref name="ChildColumns"/>.</param>
/// <param name="OnDelete">pg_constraint.confdeltype: <c>a</c> no action, <c>r</c> restrict, <c>c</c> cascade, <c>n</c> set null, <c>d</c> set default.</param>
/// <param name="OnUpdate">pg_constraint.confupdtype, likewise.</param>
/// <param name="DeleteSets">The columns that ON DELETE SET NULL or SET DEFAULT sets.</param>
/// <param name="HasMovingDefault">A referencing column has a default that is not a plain constant.</param>
public sealed record ForeignKey(
    string Name,
    QualifiedName Child,
    QualifiedName Parent,
    ImmutableArray<string> ChildColumns,
    ImmutableArray<string> ParentColumns,
    char OnDelete,
    char OnUpdate,
    ImmutableArray<string> DeleteSets,
    bool HasMovingDefault)
{
    /// <summary>
    /// Reads all foreign keys from or to some tables, as one column of JSON a row for <see cref="Parse"/>. The list of the tables' schemas and names goes
    /// into it twice.
    /// </summary>
    private const string QueryFormat = """
        SELECT pg_catalog.json_build_array(k.conname, cn.nspname, c.relname, pn.nspname, p.relname, ca.names, pa.names, k.confdeltype, k.confupdtype, coalesce(sa.names, ca.names),
            EXISTS (SELECT FROM pg_catalog.pg_attrdef d WHERE d.adrelid = k.conrelid AND d.adnum = ANY (k.conkey)
                AND pg_catalog.pg_get_expr(d.adbin, d.adrelid) !~ $re$^('([^']|'')*'|\(?-?[0-9.]+\)?|NULL|true|false)(::[a-z0-9 ]+(\([0-9,]+\))?)*$$re$))::text
        FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
        JOIN pg_catalog.pg_class p ON p.oid = k.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
        CROSS JOIN LATERAL (SELECT pg_catalog.json_agg(a.attname ORDER BY o.n) AS names FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY o(number, n)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.number) ca
        CROSS JOIN LATERAL (SELECT pg_catalog.json_agg(a.attname ORDER BY o.n) AS names FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY o(number, n)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = o.number) pa
        CROSS JOIN LATERAL (SELECT pg_catalog.json_agg(a.attname ORDER BY o.n) AS names FROM pg_catalog.unnest(k.confdelsetcols) WITH ORDINALITY o(number, n)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.number) sa
        WHERE k.contype = 'f' AND ((cn.nspname::text, c.relname::text) IN ({0}) OR (pn.nspname::text, p.relname::text) IN ({0}))
        ORDER BY cn.nspname, c.relname, k.conname
        """;

    /// <summary>Its actions write the child's rows.</summary>
    public bool Cascades => OnDelete is 'c' or 'n' or 'd' || OnUpdate is 'c' or 'n' or 'd';

    /// <summary>SQL for all foreign keys from or to the tables; one column of text a row, for <see cref="Parse"/>, sorted by child and name. One table at least.</summary>
    public static string Query(IReadOnlyCollection<QualifiedName> tables)
    {
        ArgumentNullException.ThrowIfNull(tables);
        return QueryFormat.Replace("{0}", string.Join(", ", tables.Select(t => $"({SqlIdentifier.Literal(t.Schema)}, {SqlIdentifier.Literal(t.Name)})")), StringComparison.Ordinal);
    }

    /// <summary>A row of <see cref="Query"/>.</summary>
    public static ForeignKey Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        var row = document.RootElement;
        return new ForeignKey(
            Text(0), new QualifiedName(Text(1), Text(2)), new QualifiedName(Text(3), Text(4)), Names(5), Names(6), Text(7)[0], Text(8)[0], Names(9), row[10].GetBoolean());

        string Text(int index) => row[index].GetString()!;

        ImmutableArray<string> Names(int index) => [.. row[index].EnumerateArray().Select(n => n.GetString()!)];
    }

    public bool Equals(ForeignKey? other) =>
        other is not null && Name == other.Name && Child == other.Child && Parent == other.Parent && ChildColumns.SequenceEqual(other.ChildColumns)
        && ParentColumns.SequenceEqual(other.ParentColumns) && OnDelete == other.OnDelete && OnUpdate == other.OnUpdate && DeleteSets.SequenceEqual(other.DeleteSets)
        && HasMovingDefault == other.HasMovingDefault;

    public override int GetHashCode() => HashCode.Combine(Name, Child, Parent);
}
