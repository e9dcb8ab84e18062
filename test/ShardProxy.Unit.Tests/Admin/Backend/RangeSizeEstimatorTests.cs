using System.Collections.Immutable;
using NUnit.Framework;
using ShardProxy.Admin.Backend;
using ShardProxy.Model.Topology;

namespace ShardProxy.Unit.Tests.Admin.Backend;

// Protects the estimate behind SHOW RANGES: shares by width, per node, over all tables of the group; and that nodes are not asked each time.
internal sealed class RangeSizeEstimatorTests
{
    private static readonly QualifiedName Accounts = new("public", "accounts");

    [Test]
    public void ATableIsSharedAmongTheRangesOfItsNode()
    {
        // Node 1 holds three quarters of the key space in three equal ranges, node 2 the last one.
        var sizes = RangeSizeEstimator.Estimate(
            AdminFixture.Table(),
            [new TableSize(1, Accounts, 300, 30_000), new TableSize(2, Accounts, 70, 7_000), new TableSize(1, new QualifiedName("public", "other"), 9, 9)]);
        Assert.Multiple(() =>
        {
            Assert.That(sizes[1], Is.EqualTo(new RangeSize(100, 10_000)));
            Assert.That(sizes[2], Is.EqualTo(new RangeSize(100, 10_000)));
            Assert.That(sizes[3], Is.EqualTo(new RangeSize(100, 10_000)));
            Assert.That(sizes[4], Is.EqualTo(new RangeSize(70, 7_000)));
        });
    }

    [Test]
    public void ARangeOfASilentNodeIsUnknown()
    {
        var sizes = RangeSizeEstimator.Estimate(AdminFixture.Table(), [new TableSize(1, Accounts, 300, 30_000)]);
        Assert.That(sizes.Keys, Is.EquivalentTo(new[] { 1, 2, 3 }));
    }

    [Test]
    public async Task NodesAreAskedOnceInAWhile()
    {
        var time = new ManualTime();
        var source = new CountingSource();
        using var estimator = new RangeSizeEstimator(new AdminFixture(), source, time, TimeSpan.FromSeconds(5));
        await estimator.SizesAsync(CancellationToken.None);
        time.Advance(TimeSpan.FromSeconds(4));
        await estimator.SizesAsync(CancellationToken.None);
        Assert.That(source.Reads, Is.EqualTo(1));
        time.Advance(TimeSpan.FromSeconds(1));
        await estimator.SizesAsync(CancellationToken.None);
        Assert.That(source.Reads, Is.EqualTo(2));
    }

    private sealed class CountingSource : ITableSizeSource
    {
        public int Reads { get; private set; }

        public ValueTask<ImmutableArray<TableSize>> ReadAsync(CancellationToken cancellationToken)
        {
            Reads++;
            return new([new TableSize(1, Accounts, 1, 1)]);
        }
    }

    private sealed class ManualTime : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Advance(TimeSpan by) => _ticks += by.Ticks;
    }
}
