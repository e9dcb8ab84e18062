using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration.Verifying;

/// <summary>
/// SQL of order-independent checksums over rows' canonical text: 128 bits as two sums of 64-bit hashes. A row's hash is that of its last column's text, seeded with the hash
/// of the one before, and so on; where NULL is, stands a text that is made anew for each comparison.
/// </summary>
/// <remarks>
/// PostgreSQL's hashes of other types than text follow equality, and fold 64-bit numbers to 32 bits: rows that differ could have the same. To hash columns one by one costs a
/// third of what one text of the whole row does.
/// </remarks>
/// <param name="table">The table.</param>
/// <param name="nonce">Letters and digits that no value is likely to be; the same for both sides of a comparison.</param>
internal sealed class RowChecksum(PlacedTable table, string nonce)
{
    /// <summary>What a row looks like as text must not depend on a session's or a role's settings. For use inside a transaction.</summary>
    public const string Pins = """
        SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 1;
        SET LOCAL bytea_output = 'hex'; SET LOCAL search_path = pg_catalog; SET LOCAL lc_monetary = 'C'; SET LOCAL xmlbinary = 'base64'
        """;

    /// <summary>Three aggregates over the columns that <see cref="Hashes"/> names: count (bigint), sum, sum (numeric, NULL over no rows).</summary>
    public const string Sums = "count(*), sum(a), sum(b)";

    // A hash stands in the next one's place for its seed: so deep is the expression at most.
    private const int MaximumDepth = 32;

    // bool, bytea, int8, int2, int4, oid, json, float4, float8, date, time, timestamp, timestamptz, interval, timetz, numeric, uuid, jsonb: a cast to text is their output
    // function. Others' may leave something out, as that of character does with blanks.
    private static readonly HashSet<uint> CastIsOutput = [16, 17, 20, 21, 23, 26, 114, 700, 701, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 2950, 3802];

    /// <summary>Two expressions, <c>a</c> and <c>b</c>: hashes of one row, whatever the physical order of its columns.</summary>
    public string Hashes => $"{Hash("0")} AS a, {Hash("7046029254386353131")} AS b";

    /// <summary>For one comparison.</summary>
    public static string NewNonce() => Guid.NewGuid().ToString("N");

    private string Hash(string seed) => Texts().Aggregate(seed, (previous, text) => $"pg_catalog.hashtextextended({text}, {previous})");

    private IEnumerable<string> Texts() => table.Columns.Length <= MaximumDepth
        ? table.Columns.Select(Text)
        : table.Columns.Chunk((table.Columns.Length + MaximumDepth - 1) / MaximumDepth).Select(c => RowText(string.Join(", ", c.Select(Name))));

    // Collation "C": by another one texts that differ may be equal, and have one hash.
    private string Text(TableColumn column) => column.TypeOid switch
    {
        25 or 1043 => $"coalesce({Name(column)} COLLATE pg_catalog.\"C\", '{nonce}')",
        var type when CastIsOutput.Contains(type) => $"coalesce({Name(column)}::pg_catalog.text COLLATE pg_catalog.\"C\", '{nonce}')",
        _ => RowText(Name(column)),
    };

    // Never NULL: a NULL in it is nothing between its commas.
    private static string RowText(string columns) => $"ROW({columns})::pg_catalog.text COLLATE pg_catalog.\"C\"";

    private static string Name(TableColumn column) => SqlIdentifier.Quote(column.Name);
}
