using System.Diagnostics;
using System.Globalization;
using Npgsql;
using ShardProxy.TestKit.Workloads;

namespace ShardProxy.TestKit.Tpch;

/// <summary>
/// Runs the TPC-H queries on a sharded database and on one PostgreSQL with the same rows: every query runs, and the answers are equal to the character.
/// Prints each query's route and times.
/// </summary>
public static class TpchRun
{
    /// <summary>Runs all of it; returns what was found to be wrong.</summary>
    public static async Task<List<string>> RunAsync(double scale, int seed, int nodes, TextWriter output)
    {
        await using var twins = await TwinDatabases.StartAsync(nodes);
        await using var sharded = await twins.OpenShardedAsync();
        await using var plain = await twins.OpenPlainAsync();
        await output.WriteLineAsync(Invariant($"TPC-H, scale {scale}, seed {seed}, {nodes} nodes; all suppliers on the home node, nations and regions everywhere, the rest sharded"));
        await LoadAsync(twins, sharded, plain, new TpchData(scale, seed), output);
        var findings = new List<string>();
        await output.WriteLineAsync("query   rows  direct ms   proxy ms  route");
        foreach (var query in TpchQueries.All)
        {
            await CheckAsync(twins, sharded, plain, query, findings, output);
        }

        return findings;
    }

    private static async Task LoadAsync(TwinDatabases twins, NpgsqlConnection sharded, NpgsqlConnection plain, TpchData data, TextWriter output)
    {
        var time = Stopwatch.StartNew();
        await TwinDatabases.RunAsync(plain, TpchTables.Ddl);
        await TwinDatabases.RunAsync(sharded, TpchTables.Ddl);
        foreach (var statement in TpchTables.Placement)
        {
            await twins.ConsoleAsync(statement);
        }

        foreach (var table in TpchTables.Names)
        {
            await TwinDatabases.CopyAsync(plain, table, data.Rows(table));
            await TwinDatabases.CopyAsync(sharded, table, data.Rows(table));
        }

        // As a user does behind a load; the proxy sends it to all nodes.
        await TwinDatabases.RunAsync(plain, "ANALYZE");
        foreach (var table in TpchTables.Names)
        {
            await TwinDatabases.RunAsync(sharded, "ANALYZE " + table);
        }

        await output.WriteLineAsync(Invariant($"loaded in {time.Elapsed.TotalSeconds:F1} s"));
    }

    private static async Task CheckAsync(
        TwinDatabases twins, NpgsqlConnection sharded, NpgsqlConnection plain, TpchQuery query, List<string> findings, TextWriter output)
    {
        List<string> expected = [];
        List<string> found = [];
        double direct = 0, through = 0;
        var route = "";
        try
        {
            (expected, direct) = await TimeAsync(plain, query, null);
            (found, through) = await TimeAsync(sharded, query, async () => route = await RouteAsync(twins, query));
        }
        catch (PostgresException e)
        {
            findings.Add($"query {query.Name}: {e.SqlState} {e.MessageText} {e.Detail}");
        }

        if (!query.IsOrdered)
        {
            expected.Sort(StringComparer.Ordinal);
            found.Sort(StringComparer.Ordinal);
        }

        if (!expected.SequenceEqual(found))
        {
            findings.Add($"query {query.Name}: {expected.Count} rows expected, {found.Count} found; first difference:\n"
                + string.Join('\n', expected.Zip(found).Where(p => p.First != p.Second).Take(1).Select(p => $"  {p.First}\n  {p.Second}")));
        }

        if (expected.Count == 0 || expected[0] == "NULL")
        {
            findings.Add($"query {query.Name} has no answer at this scale: it shows nothing");
        }

        await output.WriteLineAsync(Invariant($"{query.Name,-5}  {expected.Count,5}  {direct,9:F0}  {through,9:F0}  {route}"));
    }

    private static async Task<(List<string> Rows, double Milliseconds)> TimeAsync(NpgsqlConnection connection, TpchQuery query, Func<Task>? meanwhile)
    {
        if (query.Before is not null)
        {
            await TwinDatabases.RunAsync(connection, query.Before);
        }

        try
        {
            await (meanwhile?.Invoke() ?? Task.CompletedTask);
            var time = Stopwatch.StartNew();
            return (await TwinDatabases.RowsAsync(connection, query.Sql), time.Elapsed.TotalMilliseconds);
        }
        finally
        {
            if (query.After is not null)
            {
                await TwinDatabases.RunAsync(connection, query.After);
            }
        }
    }

    private static async Task<string> RouteAsync(TwinDatabases twins, TpchQuery query)
    {
        // "Route: all nodes (…), how", or "Refused: …".
        var lines = (await twins.ConsoleAsync("EXPLAIN ROUTE " + query.Sql)).SelectMany(r => r.Values).OfType<string>();
        var route = lines.FirstOrDefault(l => l.StartsWith("Route: ", StringComparison.Ordinal) || l.StartsWith("Refused: ", StringComparison.Ordinal)) ?? "";
        return route[(route.IndexOf("), ", StringComparison.Ordinal) is >= 0 and var at ? at + 3 : 0)..];
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
