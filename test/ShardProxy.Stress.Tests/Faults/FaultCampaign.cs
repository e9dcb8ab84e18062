using System.Diagnostics;
using System.Globalization;

namespace ShardProxy.Stress.Tests.Faults;

/// <summary>What to try, and for how long.</summary>
internal sealed record FaultCampaignOptions
{
    public required int Seed { get; init; }

    public required FaultClusterOptions Cluster { get; init; }

    /// <summary>No cell begins later than this after the first one.</summary>
    public required TimeSpan Budget { get; init; }

    /// <summary>What may befall nodes, catalog and proxies; a proxy is never cut off or slowed down itself.</summary>
    public IReadOnlyList<Fault> Faults { get; init; } = [Fault.Kill];

    /// <summary>Only cells whose name has this in it; of one that failed, the whole name.</summary>
    public string Only { get; init; } = "";

    /// <summary>How often each cell is tried before the run ends by itself.</summary>
    public int Rounds { get; init; } = 1;
}

/// <summary>
/// Cells in an order that the seed decides, one after the other over one cluster, until each was tried as often as asked for or time is up. After a violation it goes on
/// with a cluster of its own: one mistake is not to hide another.
/// </summary>
internal sealed class FaultCampaign(FaultCampaignOptions options, TextWriter output)
{
    private readonly List<FaultResult> _results = [];

    /// <summary>Every cell there is, known after <see cref="RunAsync"/> has begun.</summary>
    public IReadOnlyList<FaultCell> Cells { get; private set; } = [];

    /// <summary>The nodes' major version, known then too.</summary>
    public int Version { get; private set; }

    public IReadOnlyList<FaultResult> Results => _results;

    /// <summary>Cells that were not tried as often as asked for.</summary>
    public IEnumerable<FaultCell> Skipped => Cells.Where(c => _results.Count(r => r.Cell == c && r.Outcome is not null) < options.Rounds);

    /// <summary>What was found, each with its cell.</summary>
    public IEnumerable<string> Violations => _results.SelectMany(r => r.Violations.Select(v => $"{r.Cell}: {v}"));

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        await output.WriteLineAsync(Invariant($"seed {options.Seed}, catalog {options.Cluster.Catalog.ToString().ToLowerInvariant()}"));
        var random = new Random(options.Seed);
        FaultRun? run = null;
        var started = TimeSpan.Zero;
        try
        {
            for (var round = 0; round < options.Rounds; round++)
            {
                run ??= await FaultRun.StartAsync(options.Cluster, options.Seed + round, output);
                if (round == 0)
                {
                    started = Stopwatch.GetElapsedTime(began);
                    Cells = CellsOf(run);
                    Version = await run.PostgresVersionAsync();
                    await output.WriteLineAsync(Invariant($"{Cells.Count} cells; PostgreSQL {Version}; started after {started.TotalSeconds:0.0} s"));
                }

                var order = Cells.ToArray();
                random.Shuffle(order);
                foreach (var cell in order)
                {
                    if (cancellationToken.IsCancellationRequested || Stopwatch.GetElapsedTime(began) - started > options.Budget)
                    {
                        return;
                    }

                    run ??= await FaultRun.StartAsync(options.Cluster, options.Seed + _results.Count, output);
                    var result = await run.TryAsync(cell);
                    _results.Add(result);
                    await output.WriteLineAsync(Invariant($"{result.Duration.TotalSeconds,5:0.0} s  {cell}: {result.Outcome ?? "not reached"}, {result.Errors} errors"));
                    if (result.Violations.Count > 0)
                    {
                        foreach (var violation in result.Violations)
                        {
                            await output.WriteLineAsync("VIOLATION  " + violation);
                        }

                        await output.WriteLineAsync(run.Logs());
                        await run.DisposeAsync();
                        run = null;
                    }
                }
            }
        }
        finally
        {
            if (run is not null)
            {
                await run.DisposeAsync();
            }

            await output.WriteLineAsync(Invariant($"{_results.Count} faults in {Stopwatch.GetElapsedTime(began).TotalSeconds:0} s"));
            var skipped = Skipped.ToList();
            await output.WriteLineAsync(skipped.Count == 0 ? "no cell skipped" : $"skipped: {string.Join("; ", skipped)}");
        }
    }

    private List<FaultCell> CellsOf(FaultRun run) =>
    [
        .. from place in run.Places
           from fault in options.Faults
           from victim in Enum.GetValues<Victim>()
           where fault is Fault.Kill or Fault.Freeze || victim is not (Victim.Leader or Victim.Follower)
           let cell = new FaultCell(place, victim, fault)
           where cell.ToString().Contains(options.Only, StringComparison.Ordinal)
           select cell,
    ];

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
