using System.Globalization;

namespace ShardProxy.Stress.Tests.Faults;

/// <summary><c>test/stress faults</c>: every cell twenty times, with more kinds of faults than the ordinary run has, and a table of what came of them.</summary>
internal static class FaultCommand
{
    private const int Rounds = 20;

    public const string Usage = "usage: test/stress faults [--hours H] [--seed S] [--catalog postgres|etcd] [--rounds N] [--postgres VERSION] [--report FILE] [--cell TEXT]";

    /// <returns>0: every cell was tried as often as asked for, and nothing was found; 1 otherwise; 2 for wrong arguments.</returns>
    public static async Task<int> RunAsync(string[] args)
    {
        var (hours, seed, catalog, rounds, report) = (1.0, Environment.TickCount & 0xFFFF, CatalogKind.Postgres, Rounds, "faults.md");
        int? postgres = null;
        var only = "";
        for (var i = 0; i < args.Length; i += 2)
        {
            var value = i + 1 < args.Length ? args[i + 1] : "";
            var isUnderstood = args[i] switch
            {
                "--hours" => double.TryParse(value, CultureInfo.InvariantCulture, out hours) && hours > 0,
                "--seed" => int.TryParse(value, CultureInfo.InvariantCulture, out seed),
                "--rounds" => int.TryParse(value, CultureInfo.InvariantCulture, out rounds) && rounds > 0,
                "--catalog" => Enum.TryParse(value, ignoreCase: true, out catalog),
                "--postgres" => int.TryParse(value, CultureInfo.InvariantCulture, out var major) && (postgres = major) > 0,
                "--cell" => (only = value).Length > 0,
                "--report" => (report = value).Length > 0,
                _ => false,
            };
            if (!isUnderstood)
            {
                await Console.Error.WriteLineAsync(Usage);
                return 2;
            }
        }

        using var stop = new CancellationTokenSource();
        Console.CancelKeyPress += (_, e) =>
        {
            e.Cancel = true;
            stop.Cancel();
        };
        var campaign = new FaultCampaign(
            new FaultCampaignOptions
            {
                Seed = seed,
                Cluster = new FaultClusterOptions { Catalog = catalog, HasRelays = true, PostgresVersion = postgres },
                Budget = TimeSpan.FromHours(hours),
                Faults = Enum.GetValues<Fault>(),
                Rounds = rounds,
                Only = only,
            },
            Console.Out);
        await campaign.RunAsync(stop.Token);
        await File.WriteAllTextAsync(report, FaultReport.Of(campaign, seed, catalog), CancellationToken.None);
        Console.WriteLine($"table in {report}");
        var empty = campaign.Cells.Count(c => !campaign.Results.Any(r => r.Cell == c && r.Outcome is not null));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{campaign.Violations.Count()} violations, {empty} empty cells, {campaign.Skipped.Count()} cells tried less than {rounds} times; replay with --seed {seed}"));
        return campaign.Cells.Count > 0 && !campaign.Violations.Any() && empty == 0 ? 0 : 1;
    }
}
