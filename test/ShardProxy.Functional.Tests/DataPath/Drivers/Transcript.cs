using System.Collections;
using System.Globalization;
using Npgsql;
using NUnit.Framework;

namespace ShardProxy.Functional.Tests.DataPath.Drivers;

/// <summary>What one exercise saw in one place, a line a step; two places behave alike when their lines are the same.</summary>
/// <param name="place">Where: its name is taken out of the lines.</param>
internal sealed class Transcript(NpgsqlPlace place)
{
    private readonly List<string> _lines = [];

    public IReadOnlyList<string> Lines => _lines;

    public void Say(string step, params object?[] values) =>
        _lines.Add($"{step}: {string.Join(" | ", values.Select(Show))}".Replace(place.Database, "DB", StringComparison.Ordinal));

    /// <summary>Runs what may fail and notes the answer, or every part of the error that an application sees.</summary>
    public async Task AttemptAsync(string step, Func<Task<object?>> action)
    {
        try
        {
            Say(step, await action());
        }
        catch (Exception error) when (error is not AssertionException)
        {
            Say(step, Describe(error));
        }
    }

    public Task AttemptAsync(string step, Func<Task> action) => AttemptAsync(step, async () =>
    {
        await action();
        return "done";
    });

    private static string Describe(Exception error) => error switch
    {
        AggregateException several => string.Join(" + ", several.InnerExceptions.Select(Describe)),
        PostgresException e => string.Join(", ", e.Severity, e.SqlState, e.MessageText, e.Detail, e.Hint, e.Position, e.Where, e.SchemaName, e.TableName, e.ColumnName, e.ConstraintName, e.BatchCommand?.CommandText),
        NpgsqlException or OperationCanceledException => error.InnerException is { } inner ? $"{error.GetType().Name}({Describe(inner)})" : error.GetType().Name,
        _ => $"{error.GetType().Name} {error.Message}",
    };

    private static string Show(object? value) => value switch
    {
        null or DBNull => "null",
        string text => text.Length > 500 ? $"{text.Length} characters" : text,
        byte[] bytes => bytes.Length > 64 ? $"{bytes.Length} bytes, {bytes.Sum(b => (long)b)}" : Convert.ToHexString(bytes),
        BitArray bits => string.Concat(bits.Cast<bool>().Select(b => b ? '1' : '0')),
        DateTime time => $"{time:O} {time.Kind}",
        IDictionary map => "{" + string.Join(", ", map.Keys.Cast<object>().OrderBy(k => $"{k}", StringComparer.Ordinal).Select(k => $"{k}={Show(map[k])}")) + "}",
        IEnumerable many => "[" + string.Join(", ", many.Cast<object?>().Select(Show)) + "]",
        IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };
}
