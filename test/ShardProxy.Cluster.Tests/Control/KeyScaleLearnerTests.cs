using NUnit.Framework;
using ShardProxy.Control.Migration;
using ShardProxy.Control.Tables;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>
/// Protects what the planner needs of a RANGE group that was empty when it was made: once a range has rows, quantiles of its keys are known, so that its
/// load is told apart and it can be split, while every key stays in its range; keys that grow are learned again.
/// </summary>
internal sealed class KeyScaleLearnerTests
{
    [Test]
    [CancelAfter(60_000)]
    public async Task Keys_of_a_table_that_grew_are_learned_and_ranges_can_be_split_by_the_planner(CancellationToken cancellationToken)
    {
        await using var harness = await ControlHarness.StartAsync(splitKey: 4000);
        var learner = new KeyScaleLearner(harness.Catalog, harness.Connections, harness.Fleet);
        var ranges = new RangeSplitter(harness.Catalog, harness.Fleet);
        Assert.That(await learner.LearnAsync(cancellationToken), Is.Zero, "nothing to learn from");
        Assert.That(async () => await ranges.SplitAsync(1, -1, cancellationToken), Throws.TypeOf<ShardProxyException>().With.Message.Contains("SHP-517"));

        await harness.LoadAccountsAsync(6000);
        var before = Enumerable.Range(1, 6500).Select(i => harness.Fleet.Table.Groups[0].Locate(harness.PlaceOf(i)).Id).ToList();
        Assert.That(await LearnAsync(1), Is.GreaterThan(400), "range 1");
        Assert.That(await LearnAsync(2), Is.GreaterThan(200), "range 2");
        Assert.That(Enumerable.Range(1, 6500).Select(i => harness.Fleet.Table.Groups[0].Locate(harness.PlaceOf(i)).Id), Is.EqualTo(before));
        Assert.That(Enumerable.Range(1, 6000).Select(i => ShardProxy.Model.Workload.BucketMap.Of(harness.PlaceOf(i))).Distinct().Count(), Is.GreaterThan(600));

        var upper = await ranges.SplitAsync(1, long.MinValue / 2, cancellationToken);
        var bound = int.Parse(harness.Fleet.Table.Groups[0].BoundText(harness.Fleet.Table.FindRange(upper)!.From)!, System.Globalization.CultureInfo.InvariantCulture);
        Assert.That(bound, Is.InRange(1800, 2200), "the middle of the range's positions is the middle of its keys");

        // Keys go on growing behind the last one known.
        await harness.ExecuteAsync(2, "INSERT INTO account SELECT g, 0, 'x' FROM generate_series(6001, 9000) g; ANALYZE account");
        Assert.That(await LearnAsync(2), Is.GreaterThan(50));
        Assert.That(await harness.StateAsync(), Has.Property("Moves").Empty);

        async Task<int> LearnAsync(int node)
        {
            // Statistics of rows written come a moment later.
            await harness.ExecuteAsync(node, "ANALYZE account");
            var made = 0;
            Assert.That(() => made += learner.LearnAsync(cancellationToken).GetAwaiter().GetResult(), Is.Positive.After(10_000, 100));
            return made;
        }
    }
}
