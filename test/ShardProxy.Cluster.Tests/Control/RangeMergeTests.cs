using NUnit.Framework;
using ShardProxy.Control.Migration;
using ShardProxy.Model.Errors;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>
/// Protects MERGE RANGES: two neighbours on one node become one without a row moving, the lower id stays, and nothing that a migration works on or
/// waits for is merged away under it.
/// </summary>
internal sealed class RangeMergeTests
{
    [Test]
    [CancelAfter(60_000)]
    public async Task Neighbours_on_one_node_become_one_range_with_every_row_where_it_was(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        await harness.LoadAccountsAsync(500);
        var ranges = new RangeSplitter(harness.Catalog, harness.Fleet, harness.Migrations.MigrationOf);
        var before = await harness.ScalarAsync<string>(1, "SELECT md5(string_agg(a::text || ctid::text, ',' ORDER BY id)) FROM account a");
        var middle = await ranges.SplitAsync(1, long.MinValue / 2, cancellationToken);
        var upper = await ranges.SplitAsync(middle, -1000, cancellationToken);
        var epoch = harness.Fleet.Table.Epoch;

        Assert.That(await ranges.MergeAsync(upper, middle, cancellationToken), Is.EqualTo(middle), "the lower one's id, whatever order they are named in");
        Assert.That(await ranges.MergeAsync(1, middle, cancellationToken), Is.EqualTo(1));
        var group = harness.Fleet.Table.Groups[0];
        using (Assert.EnterMultipleScope())
        {
            Assert.That(group.Ranges.Select(r => (r.Id, r.From, r.To, r.NodeId)), Is.EqualTo(new[] { (1, long.MinValue, (long?)0, 1), (2, 0L, null, 2) }));
            Assert.That(harness.Fleet.Table.Epoch, Is.GreaterThan(epoch));
            Assert.That(await harness.ScalarAsync<string>(1, "SELECT md5(string_agg(a::text || ctid::text, ',' ORDER BY id)) FROM account a"), Is.EqualTo(before));
            Assert.That(harness.Migrations.List(harness.Nodes), Is.Empty);
        }
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task Strangers_and_ranges_of_migrations_are_not_merged(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync();
        var ranges = new RangeSplitter(harness.Catalog, harness.Fleet, harness.Migrations.MigrationOf);
        var middle = await ranges.SplitAsync(1, long.MinValue / 2, cancellationToken);
        var upper = await ranges.SplitAsync(middle, -1000, cancellationToken);
        Assert.That(CodeOf(() => ranges.MergeAsync(1, 1, cancellationToken)), Is.EqualTo("SHP-508"), "itself");
        Assert.That(CodeOf(() => ranges.MergeAsync(1, upper, cancellationToken)), Is.EqualTo("SHP-508"), "no neighbour");
        Assert.That(CodeOf(() => ranges.MergeAsync(upper, 2, cancellationToken)), Is.EqualTo("SHP-508"), "on another node");
        Assert.That(CodeOf(() => ranges.MergeAsync(1, 99, cancellationToken)), Is.EqualTo("SHP-501"));

        var (begun, goOn) = (new TaskCompletionSource(), new TaskCompletionSource());
        harness.Migrations.BeforeStep = async (_, step) =>
        {
            if (step == "copy")
            {
                begun.TrySetResult();
                await goOn.Task;
            }
        };
        var running = harness.Migrations.MoveAsync(1, "node2", cancellationToken);
        await begun.Task.WaitAsync(cancellationToken);
        var waiting = harness.Migrations.MoveAsync(upper, "node2", cancellationToken);
        Assert.That(() => harness.Migrations.MigrationOf(upper), Is.Not.Null.After(5000, 10));
        Assert.That(CodeOf(() => ranges.MergeAsync(1, middle, cancellationToken)), Is.EqualTo("SHP-503"), "being moved");
        Assert.That(CodeOf(() => ranges.MergeAsync(middle, upper, cancellationToken)), Is.EqualTo("SHP-503"), "waiting to be moved");
        goOn.SetResult();
        Assert.That((await running).Error, Is.Null);
        Assert.That((await waiting).Error, Is.Null);
        await harness.AssertNothingLeftAsync();
    }

    private static string? CodeOf(Func<Task> run) => Assert.ThrowsAsync<ShardProxyException>(() => run())?.Error.Code;
}
