using System.Globalization;

namespace ShardProxy.PgBench;

/// <summary>The order of things: start, warm up, measure in interleaved rounds, stop.</summary>
internal static class Bench
{
    public static async Task<List<Measurement>> RunAsync(BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        var cells = options.Modes.Length * options.Clients.Length;
        output(string.Create(
            CultureInfo.InvariantCulture,
            $"{cells} cells, {options.Targets.Length} targets, {options.Rounds} rounds of {options.Seconds} s: about {(cells * options.Targets.Length * (options.Rounds * (options.Seconds + 0.3))) + 20:F0} s"));
        await using var servers = await Servers.StartAsync(options, output, cancellationToken);
        var pgbench = servers.PgBench;
        await ShardAsync(servers, options, output, cancellationToken);
        foreach (var target in servers.Targets)
        {
            output($"warming up {target.Name}");
            foreach (var mode in options.Modes)
            {
                await pgbench.MeasureAsync(target, mode, options.Clients.Max(), 2, 0, cancellationToken);
            }
        }

        var measurements = new List<Measurement>();
        for (var round = 0; round < options.Rounds; round++)
        {
            foreach (var mode in options.Modes)
            {
                foreach (var clients in options.Clients)
                {
                    await RoundAsync(pgbench, servers.Targets, mode, clients, round, options.Seconds, measurements, output, cancellationToken);
                }
            }
        }

        return measurements;
    }

    private static async Task RoundAsync(
        PgBenchProgram pgbench, List<Target> targets, string mode, int clients, int round, int seconds, List<Measurement> measurements, Action<string> output, CancellationToken cancellationToken)
    {
        // Who begins turns from round to round, so that a drift of the machine falls on all alike.
        for (var i = 0; i < targets.Count; i++)
        {
            var measurement = await pgbench.MeasureAsync(targets[(i + round) % targets.Count], mode, clients, seconds, round, cancellationToken);
            measurements.Add(measurement);
            output(string.Create(
                CultureInfo.InvariantCulture, $"round {round + 1} {mode,-8} c{clients,-3} {measurement.Target,-10} {(measurement.Tps is { } tps ? $"{tps,8:F0} tps" : "fails")}"));
        }
    }

    private static async Task ShardAsync(Servers servers, BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        if (!options.IsSharded)
        {
            return;
        }

        string[] statements =
        [
            "SHARD TABLE pgbench_accounts BY HASH (aid)", "SHARD TABLE pgbench_tellers BY HASH (tid)", "SHARD TABLE pgbench_branches BY HASH (bid)",
        ];
        foreach (var statement in statements)
        {
            output(statement);
            await servers.PgBench.StatementAsync(servers.ConsolePort, "shardproxy", statement, cancellationToken);
        }
    }
}
