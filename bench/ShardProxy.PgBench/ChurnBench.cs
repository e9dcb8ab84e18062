using System.Globalization;

namespace ShardProxy.PgBench;

/// <summary>A connection for every transaction, through pgbouncer and ShardProxy in interleaved rounds.</summary>
internal static class ChurnBench
{
    public static async Task<bool> RunAsync(BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        await using var servers = await Servers.StartAsync(options with { Targets = BenchOptions.AllTargets }, output, cancellationToken);
        var proxies = servers.Targets.Where(t => t.Process is not null).ToList();
        foreach (var target in proxies)
        {
            // Enough logins for the runtime to have compiled the way in for good.
            output($"warming up {target.Name}");
            await servers.PgBench.MeasureAsync(target, "simple", options.Clients.Max(), 5, 0, cancellationToken, reconnects: true);
        }

        var measurements = new List<Measurement>();
        for (var round = 0; round < options.Rounds; round++)
        {
            foreach (var clients in options.Clients)
            {
                for (var i = 0; i < proxies.Count; i++)
                {
                    var measured = await servers.PgBench.MeasureAsync(proxies[(i + round) % proxies.Count], "simple", clients, options.Seconds, round, cancellationToken, reconnects: true);
                    measurements.Add(measured);
                    output(string.Create(
                        CultureInfo.InvariantCulture,
                        $"round {round + 1} c{clients,-3} {measured.Target,-10} {(measured.Tps is { } tps ? $"{tps,8:F0} connections/s, {measured.CpuSecondsPer100k * 10:F0} µs each" : "fails: " + measured.Failure)}"));
                }
            }
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"pgbench -C -S, {options.Method}, {options.Rounds} rounds of {options.Seconds} s, pool {options.PoolSize}, {Environment.ProcessorCount} cores; medians, ratios of each round"));
        Console.WriteLine($"{"clients",8}{"pgbouncer/s",14}{"µs CPU",8}{"shardproxy/s",14}{"µs CPU",8}{"ratio",8}{"CPU ratio",11}");
        foreach (var clients in options.Clients)
        {
            if (Summary.Compare(measurements, "simple", clients, "shardproxy", "pgbouncer") is { } ratios)
            {
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{clients,8}{Rate("pgbouncer"),14:F0}{Microseconds("pgbouncer"),8:F0}{Rate("shardproxy"),14:F0}{Microseconds("shardproxy"),8:F0}{ratios.Tps,8:F2}{ratios.Cpu,11:F2}"));
            }

            double Rate(string target) => Summary.Median(Of(target).Select(m => m.Tps!.Value));
            double Microseconds(string target) => Summary.Median(Of(target).Select(m => m.CpuSecondsPer100k!.Value)) * 10;
            IEnumerable<Measurement> Of(string target) => measurements.Where(m => m.Clients == clients && m.Target == target);
        }

        return measurements.TrueForAll(m => m.Failure is null);
    }
}
