using NUnit.Framework;
using ShardProxy.Model.Workload;
using ShardProxy.Planning.History;

namespace ShardProxy.Unit.Tests.Planning.History;

// Protects: the load history is what the planner believes. Loads must not appear, vanish or be counted twice when windows cross bins,
// ranges are cut, or proxies come and go; what was not recorded must stay unknown; memory must stay bounded.
public sealed class LoadHistoryTests
{
    private static readonly TimeSpan Bin = TimeSpan.FromSeconds(10);

    private static LoadHistory New(int bins = 100, long bytes = long.MaxValue) => new(new LoadHistoryOptions { BinLength = Bin, MaxBins = bins, MaxBytes = bytes });

    [Test]
    public void A_window_over_a_bin_border_is_shared_out_by_time()
    {
        var history = New();
        // 20 calls over 20 s, starting 5 s into a bin; the rest of both outer bins is recorded too, as quiet.
        history.Add(PlanningSamples.Window(PlanningSamples.Epoch, TimeSpan.FromSeconds(5), _ => 0));
        history.Add(PlanningSamples.Window(PlanningSamples.Epoch.AddSeconds(5), TimeSpan.FromSeconds(20), b => b == 7 ? 20 : 0));
        history.Add(PlanningSamples.Window(PlanningSamples.Epoch.AddSeconds(25), TimeSpan.FromSeconds(5), _ => 0));

        var series = history.RangeSeries(PlanningSamples.Group, long.MinValue, null, history.BinOf(PlanningSamples.Epoch) + 3);

        Assert.That(series.Values, Is.EqualTo([0.5, 1.0, 0.5]).Within(1e-6));
    }

    [Test]
    public void Load_of_all_ranges_is_the_load_of_the_key_space_however_it_is_cut()
    {
        var history = New();
        history.Add(PlanningSamples.Window(PlanningSamples.Epoch, Bin, b => 10 + (b % 13)));
        var end = history.BinOf(PlanningSamples.Epoch) + 1;
        var whole = history.RangeSeries(PlanningSamples.Group, long.MinValue, null, end).Values[0];
        const int Seed = 4711;
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed);

        for (var round = 0; round < 200; round++)
        {
            var cut = random.NextInt64(long.MinValue + 1, long.MaxValue);
            var lower = history.RangeSeries(PlanningSamples.Group, long.MinValue, cut, end).Values[0];
            var upper = history.RangeSeries(PlanningSamples.Group, cut, null, end).Values[0];
            Assert.That(lower + upper, Is.EqualTo(whole).Within(1e-6 * whole), $"cut at {cut}");
        }
    }

    [Test]
    public void A_range_inside_one_bucket_counts_by_its_share()
    {
        var history = New();
        history.Add(PlanningSamples.Window(PlanningSamples.Epoch, Bin, b => b == 3 ? 1000 : 0));
        var from = BucketMap.FirstHash(3);
        var width = BucketMap.FirstHash(4) - from;

        var load = history.RangeLoadAt(PlanningSamples.Group, from + (width / 4), from + (width / 2), history.BinOf(PlanningSamples.Epoch));

        Assert.That(load, Is.EqualTo(25).Within(1e-6));
    }

    [Test]
    public void What_was_not_recorded_is_a_gap_and_not_a_zero()
    {
        var history = New();
        history.Add(PlanningSamples.Window(PlanningSamples.Epoch, Bin, _ => 1));
        history.Add(PlanningSamples.Window(PlanningSamples.Epoch + (3 * Bin), Bin, _ => 1));
        // A bin of which only a fifth was seen says too little.
        history.Add(PlanningSamples.Window(PlanningSamples.Epoch + (4 * Bin), Bin / 5, _ => 1));

        var series = history.RangeSeries(PlanningSamples.Group, long.MinValue, null, history.BinOf(PlanningSamples.Epoch) + 5);

        Assert.That(series.Values.Select(double.IsNaN), Is.EqualTo([false, true, true, false, true]));
        Assert.That(history.RangeLoadAt(PlanningSamples.Group, long.MinValue, null, series.FirstBin + 1), Is.NaN);
        Assert.That(history.LastObserved(long.MaxValue), Is.EqualTo(series.FirstBin + 3));
    }

    [Test]
    public void A_partly_recorded_bin_keeps_its_rate()
    {
        var history = New();
        history.Add(PlanningSamples.Window(PlanningSamples.Epoch, 0.8 * Bin, b => b == 0 ? 80 : 0));

        Assert.That(history.RangeLoadAt(PlanningSamples.Group, long.MinValue, null, history.BinOf(PlanningSamples.Epoch)), Is.EqualTo(10).Within(1e-6));
    }

    [Test]
    public void Loads_of_several_proxies_add_up_and_their_time_does_not()
    {
        var history = New();
        history.Add(PlanningSamples.Window(PlanningSamples.Epoch, Bin, b => b == 0 ? 30 : 0, proxy: "p1"));
        history.Add(PlanningSamples.Window(PlanningSamples.Epoch, Bin, b => b == 0 ? 20 : 0, proxy: "p2"));

        Assert.That(history.RangeLoadAt(PlanningSamples.Group, long.MinValue, null, history.BinOf(PlanningSamples.Epoch)), Is.EqualTo(5).Within(1e-6));
    }

    [Test]
    public void Bins_and_bytes_are_bounded_and_the_oldest_go_first()
    {
        var history = New(bins: 50, bytes: 20 * 2 * 4 * 1024);
        for (var i = 0; i < 200; i++)
        {
            history.Add(PlanningSamples.Window(PlanningSamples.Epoch + (i * Bin), Bin, _ => i));
        }

        var end = history.BinOf(PlanningSamples.Epoch) + 200;
        Assert.That(history.BinCount, Is.LessThanOrEqualTo(20));
        Assert.That(history.Bytes, Is.LessThanOrEqualTo(20 * 2 * 4 * 1024));
        Assert.That(history.RangeLoadAt(PlanningSamples.Group, long.MinValue, null, end - 1), Is.EqualTo(199 * 1024 / 10.0).Within(1));
        Assert.That(history.RangeLoadAt(PlanningSamples.Group, long.MinValue, null, end - 60), Is.NaN);
    }

    [Test]
    public void A_window_older_than_the_history_is_dropped()
    {
        var history = New(bins: 3);
        for (var i = 10; i < 13; i++)
        {
            history.Add(PlanningSamples.Window(PlanningSamples.Epoch + (i * Bin), Bin, _ => 1));
        }

        history.Add(PlanningSamples.Window(PlanningSamples.Epoch, Bin, _ => 1));

        Assert.That(history.BinCount, Is.EqualTo(3));
        Assert.That(history.RangeLoadAt(PlanningSamples.Group, long.MinValue, null, history.BinOf(PlanningSamples.Epoch)), Is.NaN);
    }

    [Test]
    public void Statements_of_a_node_beyond_its_buckets_are_told_apart()
    {
        var table = PlanningSamples.Table(2, 0, 1, 2);
        var history = New();
        var window = PlanningSamples.Window(PlanningSamples.Epoch, Bin, b => b == 0 ? 100 : 0, table);
        history.Add(window with { Nodes = [new NodeLoad(1, 150, 0, 0, 0, 15_000, 0, 1, 2, 3)] }, table);

        var end = history.BinOf(PlanningSamples.Epoch) + 1;
        Assert.That(history.UnattributedSeries(1, end).Values[0], Is.EqualTo(5).Within(1e-6));
        Assert.That(history.NodesAt(end - 1).Single().StatementsPerSecond, Is.EqualTo(15).Within(1e-6));
    }
}
