using System.Globalization;
using NUnit.Framework;
using ShardProxy.Stress.Tests.Faults;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Stress.Tests;

// Protects laws 2 and 4 of DESIGN section 3: whatever dies at whichever step of a move, no acknowledged write is lost or done twice, no read goes back, clients are told
// nothing but what they lost, and nothing of the move is left. `test/stress faults` does it for longer, and with more kinds of faults.
[TestFixture]
internal sealed class FaultTests
{
    private const string SeedVariable = "SHARDPROXY_FAULT_SEED";
    private static readonly TimeSpan Budget = TimeSpan.FromSeconds(130);
    private static readonly TimeSpan NewerBudget = TimeSpan.FromSeconds(55);

    [Test]
    [CancelAfter(480_000)]
    public async Task Nothing_is_lost_whatever_is_killed_at_any_step_of_a_move(CancellationToken cancellationToken)
    {
        var campaign = await RunAsync(Budget, null, cancellationToken);
        Assert.That(campaign.Results, Has.Count.GreaterThan(10), "so few faults show little");
    }

    [Test]
    [CancelAfter(300_000)]
    public async Task Nor_on_a_newer_server(CancellationToken cancellationToken)
    {
        var campaign = await RunAsync(NewerBudget, TestPostgres.Newer, cancellationToken);
        Assert.That(campaign.Version, Is.EqualTo(TestPostgres.Newer));
        Assert.That(campaign.Results, Has.Count.GreaterThan(4), "so few faults show little");
    }

    private static async Task<FaultCampaign> RunAsync(TimeSpan budget, int? postgres, CancellationToken cancellationToken)
    {
        // Another order, and so other skipped cells, and another catalog every day.
        var seed = int.TryParse(Environment.GetEnvironmentVariable(SeedVariable), CultureInfo.InvariantCulture, out var given)
            ? given
            : (int)(TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalDays;
        var campaign = new FaultCampaign(
            new FaultCampaignOptions
            {
                Seed = seed,
                Cluster = new FaultClusterOptions { Catalog = seed % 2 == 0 ? CatalogKind.Postgres : CatalogKind.Etcd, PostgresVersion = postgres },
                Budget = budget,
            },
            TestContext.Progress);
        await campaign.RunAsync(cancellationToken);
        Assert.That(campaign.Violations, Is.Empty, $"replay with {SeedVariable}={seed}");
        return campaign;
    }
}
