using System.Diagnostics;
using System.Globalization;
using Npgsql;
using ShardProxy.TestKit.Differential;
using ShardProxy.TestKit.Workloads;

namespace ShardProxy.TestKit.Tpcc;

/// <summary>A run of TPC-C.</summary>
public sealed record TpccOptions
{
    public int Warehouses { get; init; } = 6;

    public int Clients { get; init; } = 12;

    public int Nodes { get; init; } = 3;

    public TimeSpan Duration { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Rows of a warehouse, in percent of the specification's.</summary>
    public int Percent { get; init; } = 10;

    public int Seed { get; init; } = 1;

    /// <summary>Ranges move between the nodes meanwhile.</summary>
    public bool Moves { get; init; }
}

/// <summary>
/// TPC-C over several nodes: terminals run its five transactions through the proxy, with remote warehouses; afterwards its consistency conditions hold, and
/// what the terminals were told is what is there.
/// </summary>
public static class TpccRun
{
    /// <summary>Runs it; returns what was found to be wrong.</summary>
    public static async Task<List<string>> RunAsync(TpccOptions options, TextWriter output)
    {
        var size = new TpccSize(options.Warehouses, Math.Max(100, 1_000 * options.Percent), Math.Max(30, 30 * options.Percent));
        await output.WriteLineAsync(Invariant(
            $"TPC-C, {size.Warehouses} warehouses of {size.Items} items and {size.Customers} customers a district, {options.Nodes} nodes, {options.Clients} clients without think time, seed {options.Seed}"));
        await using var twins = await TwinDatabases.StartAsync(options.Nodes);
        await LoadAsync(twins, size, options.Seed, output);
        var findings = new List<string>();
        await CheckAsync(twins, size, new TpccCounts(), "before", findings);

        var counts = new TpccCounts();
        var mover = options.Moves ? new RangeMover(twins.ConsoleAsync, twins.Process.NodeNames, new Dice(options.Seed)) : null;
        using var stop = new CancellationTokenSource(options.Duration);
        var time = Stopwatch.StartNew();
        var moving = mover?.RunAsync(stop.Token) ?? Task.CompletedTask;
        var terminals = Enumerable.Range(0, options.Clients).Select(i => TerminalAsync(twins, size, i, options.Seed, counts, findings, stop)).ToList();
        await Task.WhenAll(terminals);
        var seconds = time.Elapsed.TotalSeconds;
        await moving;
        await (mover?.SettleAsync() ?? Task.CompletedTask);

        foreach (var line in counts.Lines())
        {
            await output.WriteLineAsync(line);
        }

        await output.WriteLineAsync(Invariant($"{counts.Orders / seconds * 60:F0} new orders a minute (tpmC without think times), {counts.Retries} retries"));
        if (mover is not null)
        {
            await output.WriteLineAsync(Invariant($"{mover.Done} ranges moved, {mover.Failed} moves given up"));
        }

        await CheckAsync(twins, size, counts, "after", findings);
        await output.WriteLineAsync(findings.Count == 0 ? "consistency conditions 1 to 10 and 12 hold" : "NOT CONSISTENT");
        return findings;
    }

    private static async Task TerminalAsync(
        TwinDatabases twins, TpccSize size, int number, int seed, TpccCounts counts, List<string> findings, CancellationTokenSource stop)
    {
        await using var connection = await twins.OpenShardedAsync();
        try
        {
            await new TpccTerminal(connection, size, (number % size.Warehouses) + 1, (seed * 1_000) + number, counts).RunAsync(stop.Token);
        }
        catch (NpgsqlException e)
        {
            lock (findings)
            {
                findings.Add($"a client got {(e as PostgresException)?.SqlState} {e.Message} {(e as PostgresException)?.Detail}");
            }

            await stop.CancelAsync();
        }
    }

    private static async Task LoadAsync(TwinDatabases twins, TpccSize size, int seed, TextWriter output)
    {
        var time = Stopwatch.StartNew();
        await using var connection = await twins.OpenShardedAsync();
        await TwinDatabases.RunAsync(connection, TpccTables.Ddl);
        foreach (var statement in TpccTables.Placement)
        {
            await twins.ConsoleAsync(statement);
        }

        foreach (var table in TpccTables.Names)
        {
            await TwinDatabases.CopyAsync(connection, table, TpccTables.Rows(table, size, seed));
            await TwinDatabases.RunAsync(connection, "ANALYZE " + table);
        }

        await output.WriteLineAsync(Invariant($"loaded in {time.Elapsed.TotalSeconds:F1} s"));
    }

    private static async Task CheckAsync(TwinDatabases twins, TpccSize size, TpccCounts counts, string when, List<string> findings)
    {
        await using var connection = await twins.OpenShardedAsync();
        foreach (var (number, sql) in TpccConditions.All)
        {
            var broken = await TwinDatabases.RowsAsync(connection, sql);
            if (broken.Count > 0)
            {
                findings.Add($"condition {number} does not hold {when}: {broken.Count} rows, such as {broken[0]}");
            }
        }

        // No acknowledged write is lost or applied twice.
        var first = size.Warehouses * TpccSize.Districts * size.Customers;
        await EqualAsync("SELECT count(*) FROM orders", Invariant($"{first + counts.Orders}"));
        await EqualAsync("SELECT sum(h_amount) FROM history", Invariant($"{(first * 10) + counts.Payments:0.00}"));

        async Task EqualAsync(string sql, string expected)
        {
            var found = (await TwinDatabases.RowsAsync(connection, sql))[0];
            if (found != expected)
            {
                findings.Add($"{sql} is {found} {when}; by what the clients were told it is {expected}");
            }
        }
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
