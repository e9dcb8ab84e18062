using System.Globalization;
using System.Text.Json;

namespace ShardProxy.PgBench;

/// <summary>The figures as a table or as JSON.</summary>
internal static class Report
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public static void WriteTable(TextWriter writer, BenchOptions options, IReadOnlyList<Summary> summaries, IReadOnlyList<Measurement> measurements)
    {
        writer.WriteLine();
        writer.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"pgbench -S, scale {options.Scale}{(options.IsSharded ? ", sharded" : "")}, {options.Rounds} rounds of {options.Seconds} s, pool {options.PoolSize}, {Environment.ProcessorCount} cores"));
        writer.WriteLine("ratio: median of each round's tps to direct; CPU: seconds of the proxy per 100k transactions");
        writer.WriteLine();
        writer.Write($"{"mode",-10}{"clients",8}{"direct tps",12}");
        foreach (var target in options.Targets.Skip(1))
        {
            writer.Write($"{target + " ratio",18}{"CPU",8}");
        }

        writer.WriteLine();
        foreach (var cell in summaries.GroupBy(s => (s.Mode, s.Clients)))
        {
            var direct = cell.Single(s => s.Target == "direct");
            writer.Write(string.Create(CultureInfo.InvariantCulture, $"{direct.Mode,-10}{direct.Clients,8}{direct.Tps,12:F0}"));
            foreach (var summary in cell.Where(s => s.Target != "direct"))
            {
                writer.Write(summary.Ratio is { } ratio
                    ? string.Create(CultureInfo.InvariantCulture, $"{ratio,18:F2}{summary.CpuSecondsPer100k,8:F2}")
                    : $"{"fails",18}{"-",8}");
            }

            writer.WriteLine();
        }

        foreach (var (a, b) in options.Targets.Contains("pgbouncer") && options.Targets.Contains("shardproxy") ? new[] { ("shardproxy", "pgbouncer") } : [])
        {
            WriteComparison(writer, options, measurements, a, b);
        }
    }

    public static async Task WriteJsonAsync(Stream stream, BenchOptions options, IReadOnlyList<Summary> summaries, IReadOnlyList<Measurement> measurements)
    {
        var report = new
        {
            options.Scale,
            options.Rounds,
            options.Seconds,
            options.PoolSize,
            Sharded = options.IsSharded,
            Cores = Environment.ProcessorCount,
            Summaries = summaries,
            Measurements = measurements,
        };
        await JsonSerializer.SerializeAsync(stream, report, Json);
    }

    private static void WriteComparison(TextWriter writer, BenchOptions options, IReadOnlyList<Measurement> measurements, string a, string b)
    {
        writer.WriteLine();
        writer.WriteLine($"{a} / {b}, medians of each round's ratios: tps, processor time for a transaction");
        foreach (var mode in options.Modes)
        {
            foreach (var clients in options.Clients)
            {
                if (Summary.Compare(measurements, mode, clients, a, b) is { } ratios)
                {
                    writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{mode,-10}{clients,8}{ratios.Tps,10:F2}{ratios.Cpu,10:F2}"));
                }
            }
        }
    }
}
