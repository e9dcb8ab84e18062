using System.Collections.Immutable;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration;

/// <summary>A table of the group as the migration of one range writes SQL about it.</summary>
internal sealed record MigrationTable(PlacedTable Table, ShardRange Range, TableGroup Group)
{
    /// <summary>Types with lower OIDs are built in: their binary form is the same on every server.</summary>
    private const uint FirstUserOid = 16384;

    /// <summary>Qualified and quoted.</summary>
    public string Sql => Table.Name.ToString();

    /// <summary>Columns that can be written, quoted, for COPY.</summary>
    public string WritableColumns => string.Join(", ", Table.Columns.Where(c => !c.IsGenerated).Select(c => SqlIdentifier.Quote(c.Name)));

    public bool CanCopyBinary => Table.Columns.All(c => c.TypeOid < FirstUserOid);

    public bool HasGeneratedKey => Table.KeyColumns.Any(i => Table.Columns[i].IsGenerated);

    /// <summary>True for rows of the range; <paramref name="qualifier"/> such as <c>NEW.</c> stands before the columns.</summary>
    public string Predicate(string qualifier = "") => KeySpaceSql.OwnedPredicate(Group, Key(qualifier), [Range]);

    /// <summary>A 64-bit hash of the row's key, by which verification cuts the rows into chunks: for a HASH group its place in the key space.</summary>
    public string Hash => Group.Method == ShardingMethod.Hash
        ? KeySpaceSql.HashExpression(Key(""))
        : $"pg_catalog.hashtextextended(ROW({string.Join(", ", Key("").Select(k => k.Expression))})::text, 0)";

    /// <summary>Width of the interval that <see cref="Hash"/> has values in.</summary>
    public UInt128 HashWidth => Group.Method == ShardingMethod.Hash ? (UInt128)((Int128)(Range.To ?? long.MaxValue) - Range.From) : ulong.MaxValue;

    private ImmutableArray<KeyColumn> Key(string qualifier) =>
        [.. Table.KeyColumns.Select((c, i) => new KeyColumn(qualifier + SqlIdentifier.Quote(Table.Columns[c].Name), Group.KeyTypes[i]))];
}
