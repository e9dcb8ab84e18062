using System.Collections.Immutable;
using System.Globalization;
using ShardProxy.Model.Console;

namespace ShardProxy.Admin.Views;

/// <summary>Cells as PostgreSQL writes them in text format (DateStyle ISO, time zone UTC).</summary>
internal static class ViewText
{
    /// <summary>The table as a console reply, tagged <c>SHOW n</c>.</summary>
    public static ConsoleReply Reply(ViewTable table) => new()
    {
        Columns = table.Columns,
        Rows = [.. table.Rows.Select(row => ImmutableArray.CreateRange(row, Cell))],
        CommandTag = string.Create(CultureInfo.InvariantCulture, $"SHOW {table.Rows.Length}"),
    };

    public static string? Cell(object? value) => value switch
    {
        null => null,
        string text => text,
        bool flag => flag ? "t" : "f",
        int number => number.ToString(CultureInfo.InvariantCulture),
        long number => number.ToString(CultureInfo.InvariantCulture),
        double.PositiveInfinity => "Infinity",
        double.NegativeInfinity => "-Infinity",
        double number => number.ToString("R", CultureInfo.InvariantCulture),
        DateTimeOffset time => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.ffffff", CultureInfo.InvariantCulture) + "+00",
        _ => throw new ArgumentOutOfRangeException(nameof(value)),
    };
}
