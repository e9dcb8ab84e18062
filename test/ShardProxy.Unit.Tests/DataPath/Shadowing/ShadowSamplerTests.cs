using NUnit.Framework;
using ShardProxy.DataPath.Shadowing;

namespace ShardProxy.Unit.Tests.DataPath.Shadowing;

/// <summary>
/// Protects the promise that a difference is found within ten seconds although only a small share of the reads is compared: whatever clients read again and again is chosen every few
/// seconds, however rare it is among the others, and the reads chosen beyond the share stay few.
/// </summary>
[TestFixture]
internal sealed class ShadowSamplerTests
{
    private readonly ManualTime _time = new();

    [Test]
    public void AllAreChosenWhereTheShareIsAll() => Assert.That(Enumerable.Range(0, 1000).Select(_ => Sampler(1).Choose(7, isWanted: false)), Is.All.True);

    [Test]
    public void WhatIsWantedIsChosen()
    {
        var sampler = Sampler(0);
        Assert.That(Enumerable.Range(0, 50).Select(_ => sampler.Choose(7, isWanted: true)), Is.All.True);
    }

    // A steady load of many reads of each of so many keys, and one that is met by one client once a second: it is chosen in every nine seconds, and the others are too.
    [TestCase(1, 1000)]
    [TestCase(50, 200)]
    [TestCase(300, 10)]
    [TestCase(500, 4)]
    public void ARareReadIsChosenInTime(int others, int timesASecond)
    {
        const int Rare = 987_654_321;
        var sampler = Sampler(0.01);
        var last = new Dictionary<int, double>();
        var (longest, longestOther) = (0.0, 0.0);
        var order = new Random(5);
        for (var ms = 0; ms < 60_000; ms++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(1));
            if (ms % 1000 == 500)
            {
                Offer(Rare, ms, ref longest);
            }

            for (var i = 0; i < Math.Max(1, others * timesASecond / 1000); i++)
            {
                Offer(1 + order.Next(others), ms, ref longestOther);
            }
        }

        TestContext.Out.WriteLine($"rare {longest} ms, others {longestOther} ms, rest {sampler.Rest.TotalMilliseconds} ms");
        Assert.That(longest, Is.LessThan(9_000));
        Assert.That(last, Has.Count.GreaterThan(others * 0.95));

        void Offer(int read, int ms, ref double most)
        {
            most = Math.Max(most, ms - last.GetValueOrDefault(read));
            if (sampler.Choose(read * 7919, isWanted: false))
            {
                last[read] = ms;
            }
        }
    }

    // Keys without end, each met once, take nothing from the read that comes again.
    [Test]
    public void ReadsThatComeOnceDoNotCrowdOutTheOthers()
    {
        var sampler = Sampler(0);
        var (chosen, last, longest) = (0, 0, 0);
        for (var ms = 0; ms < 60_000; ms++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(1));
            for (var i = 0; i < 2; i++)
            {
                chosen += sampler.Choose((ms * 2) + i, isWanted: false) ? 1 : 0;
            }

            if (ms % 500 == 250)
            {
                last = sampler.Choose(-1, isWanted: false) ? ms : last;
                longest = Math.Max(longest, ms - last);
            }
        }

        TestContext.Out.WriteLine($"{chosen} of 120000, the other one every {longest} ms");
        Assert.That(longest, Is.LessThan(8_000));
        Assert.That(chosen, Is.LessThanOrEqualTo((60 * ShadowSampler.PerSecond) + 50));
    }

    [Test]
    public void ChoosingAllocatesNothing()
    {
        var sampler = Sampler(0.01);
        sampler.Choose(1, isWanted: false);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10_000; i++)
        {
            sampler.Choose(i % 100, isWanted: false);
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    private ShadowSampler Sampler(double share) => new(share, _time, new Random(3).NextDouble);

    private sealed class ManualTime : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Advance(TimeSpan by) => _ticks += by.Ticks;
    }
}
