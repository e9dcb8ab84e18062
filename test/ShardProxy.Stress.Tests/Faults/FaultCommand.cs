using System.Globalization;

namespace ShardProxy.Stress.Tests.Faults;

/// <summary><c>test/stress faults</c>.</summary>
internal static class FaultCommand
{
    public static async Task<int> RunAsync(string[] args)
    {
        var seed = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 1;
        var campaign = new FaultCampaign(
            new FaultCampaignOptions
            {
                Seed = seed,
                Cluster = new FaultClusterOptions { Catalog = seed % 2 == 0 ? CatalogKind.Postgres : CatalogKind.Etcd },
                Budget = TimeSpan.FromSeconds(args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 200),
            },
            Console.Out);
        await campaign.RunAsync(CancellationToken.None);
        return campaign.Violations.Any() ? 1 : 0;
    }
}
