namespace ShardProxy.PgBench;

/// <summary>Medians over the rounds of one cell.</summary>
/// <param name="Mode">simple, extended or prepared.</param>
/// <param name="Clients">Client connections.</param>
/// <param name="Target">What was measured.</param>
/// <param name="Tps">Median tps; null when any round failed.</param>
/// <param name="Ratio">Median of each round's ratio to direct in the same round.</param>
/// <param name="CpuSecondsPer100k">Median CPU seconds of the proxy per 100,000 transactions.</param>
internal sealed record Summary(string Mode, int Clients, string Target, double? Tps, double? Ratio, double? CpuSecondsPer100k)
{
    /// <summary>Medians of each round's ratio of one target to another in one cell: tps, and processor time for a transaction. Null where one of them failed.</summary>
    public static (double Tps, double Cpu)? Compare(IReadOnlyList<Measurement> measurements, string mode, int clients, string target, string other)
    {
        var cell = measurements.Where(m => m.Mode == mode && m.Clients == clients).ToList();
        var pairs = cell.Where(m => m.Target == target)
            .Select(m => (One: m, Two: cell.Single(o => o.Target == other && o.Round == m.Round)))
            .ToList();
        return pairs.Count == 0 || pairs.Exists(p => p.One.Tps is null || p.Two.Tps is null)
            ? null
            : (Median(pairs.Select(p => p.One.Tps!.Value / p.Two.Tps!.Value)), Median(pairs.Select(p => p.One.CpuSecondsPer100k!.Value / p.Two.CpuSecondsPer100k!.Value)));
    }

    public static List<Summary> Of(BenchOptions options, IReadOnlyList<Measurement> measurements)
    {
        var summaries = new List<Summary>();
        foreach (var mode in options.Modes)
        {
            foreach (var clients in options.Clients)
            {
                foreach (var target in options.Targets)
                {
                    var cell = measurements.Where(m => m.Mode == mode && m.Clients == clients).ToList();
                    var own = cell.Where(m => m.Target == target).ToList();
                    if (own.Exists(m => m.Tps is null))
                    {
                        summaries.Add(new Summary(mode, clients, target, null, null, null));
                        continue;
                    }

                    var ratios = own.Select(m => m.Tps!.Value / cell.Single(d => d.Target == "direct" && d.Round == m.Round).Tps!.Value);
                    summaries.Add(new Summary(
                        mode, clients, target, Median(own.Select(m => m.Tps!.Value)), Median(ratios), target == "direct" ? null : Median(own.Select(m => m.CpuSecondsPer100k!.Value))));
                }
            }
        }

        return summaries;
    }

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        var middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
