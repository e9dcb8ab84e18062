using System.Diagnostics;
using System.Globalization;

namespace ShardProxy.PgBench;

/// <summary>What a large result in order costs the proxy in memory: its peak resident set with a client that reads all at once, and with one that reads slowly.</summary>
internal static class SortBench
{
    private const string Table = "sorted";

    /// <summary>The proxy may grow by so much, however many rows pass.</summary>
    private const long GoalBytes = 64L << 20;

    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(15);

    public static async Task<bool> RunAsync(BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        await using var servers = await ShardServers.StartAsync(options, hasDirect: false, output, cancellationToken);
        if (!await servers.HasTableAsync(Table, cancellationToken))
        {
            output(Invariant($"filling {options.Rows} rows"));
            await servers.OnBothAsync($"CREATE TABLE {Table} (id int PRIMARY KEY, value int NOT NULL)", cancellationToken);
            await servers.ConsoleAsync($"SHARD TABLE {Table} BY HASH (id)", cancellationToken);
            await servers.PgBench.CopyAsync(
                servers.NodePorts[0], servers.Proxy.Port, Invariant($"SELECT i, hashint4(i) FROM generate_series(1, {options.Rows}) i"), Table, cancellationToken);
            await servers.SettleAsync(Table, cancellationToken);
        }

        var proxy = servers.Proxy.Process!;
        using var client = await PlainClient.ConnectAsync(servers.Proxy.Port, 0, cancellationToken);
        await client.QueryAsync($"SELECT * FROM {Table} ORDER BY value LIMIT 10", cancellationToken);
        Console.WriteLine(Invariant($"{options.Rows} rows in order over {options.Nodes} nodes; the proxy's resident set"));
        Console.WriteLine();
        Console.WriteLine("| client | before | peak | more | goal | | seconds |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        var isGood = true;
        foreach (var (name, patience) in new[] { ("reads all at once", TimeSpan.Zero), ("reads slowly", Slow) })
        {
            proxy.ResetPeak();
            var before = proxy.ResidentBytes();
            var time = Stopwatch.StartNew();
            var rows = await client.CountRowsAsync($"SELECT id, value FROM {Table} ORDER BY value", patience, cancellationToken);
            if (rows != options.Rows)
            {
                throw new InvalidOperationException(Invariant($"{rows} rows came"));
            }

            var peak = proxy.PeakResidentBytes();
            isGood &= peak - before <= GoalBytes;
            Console.WriteLine(Invariant(
                $"| {name} | {before / 1048576.0:F0} MB | {peak / 1048576.0:F0} MB | {(peak - before) / 1048576.0:F0} MB | {GoalBytes >> 20} MB | {(peak - before <= GoalBytes ? "met" : "MISSED")} | {time.Elapsed.TotalSeconds:F0} |"));
        }

        return isGood;
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
