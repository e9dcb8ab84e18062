using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration.Verifying;

/// <summary>SQL of order-independent checksums over rows' canonical text: 128 bits as two sums of 64-bit hashes.</summary>
internal static class RowChecksum
{
    private const string SecondSeed = "7046029254386353131";

    /// <summary>What a row looks like as text must not depend on a session's or a role's settings. For use inside a transaction.</summary>
    public const string Pins = """
        SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 1;
        SET LOCAL bytea_output = 'hex'; SET LOCAL search_path = pg_catalog; SET LOCAL lc_monetary = 'C'; SET LOCAL xmlbinary = 'base64'
        """;

    /// <summary>Three aggregates over a text column: count (bigint), sum, sum (numeric, NULL over no rows).</summary>
    public static string Sums(string column) =>
        $"count(*), sum(pg_catalog.hashtextextended({column}, 0)), sum(pg_catalog.hashtextextended({column}, {SecondSeed}))";

    /// <summary>The text of one row, whatever the physical order of its columns.</summary>
    public static string RowText(PlacedTable table) => $"ROW({string.Join(", ", table.Columns.Select(c => SqlIdentifier.Quote(c.Name)))})::text";
}
