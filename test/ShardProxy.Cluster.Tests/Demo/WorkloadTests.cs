using NUnit.Framework;
using ShardProxy.Demo.Workload;
using ShardProxy.Model.Keys;

namespace ShardProxy.Cluster.Tests.Demo;

// Protects: the demo compares planner off with planner on. That is honest only when both get exactly the same traffic, and shows something
// only when the traffic has a daily shape and a hot part that wanders.
public sealed class WorkloadTests
{
    private const int Seed = 7;
    private static readonly TimeSpan Day = TimeSpan.FromSeconds(16);
    private static readonly KeyRing Keys = new(5000);

    [Test]
    public void The_same_seed_gives_the_same_arrivals_and_another_seed_others()
    {
        var first = ArrivalList.Draw(new WorkloadSchedule(Day, 200, Seed), Keys, Day * 2, Seed);
        var second = ArrivalList.Draw(new WorkloadSchedule(Day, 200, Seed), Keys, Day * 2, Seed);
        var other = ArrivalList.Draw(new WorkloadSchedule(Day, 200, Seed + 1), Keys, Day * 2, Seed + 1);

        Assert.That(second.AsSpan().SequenceEqual(first.AsSpan()), Is.True);
        Assert.That(other.AsSpan().SequenceEqual(first.AsSpan()), Is.False);
        Assert.That(first.Zip(first.Skip(1)), Has.None.Matches<(Arrival A, Arrival B)>(p => p.B.At < p.A.At));
    }

    [Test]
    public void Nights_are_quiet_and_noons_are_busy()
    {
        var schedule = new WorkloadSchedule(Day, 400, Seed);
        var arrivals = ArrivalList.Draw(schedule, Keys, Day, Seed);

        Assert.That(schedule.RateAt(Day / 2), Is.EqualTo(400).Within(1e-6));
        Assert.That(schedule.RateAt(Day), Is.EqualTo(schedule.RateAt(TimeSpan.Zero)).Within(1e-6));
        var night = arrivals.Count(a => a.At < Day / 8 || a.At > Day * 7 / 8);
        var noon = arrivals.Count(a => a.At > Day * 3 / 8 && a.At < Day * 5 / 8);
        Assert.That(noon, Is.GreaterThan(2 * night));
    }

    [Test]
    public void The_hot_part_takes_its_share_and_wanders_the_same_way_every_day()
    {
        var schedule = new WorkloadSchedule(Day, 1000, Seed);
        var hashes = Enumerable.Range(1, Keys.Count).ToDictionary(a => a, a => ((double)KeyHash.Int64(a, KeyHash.FirstSeed) / 2 / long.MaxValue) + 0.5);
        var arrivals = ArrivalList.Draw(schedule, Keys, Day, Seed);
        var starts = new HashSet<double>();
        for (var stop = 0; stop < WorkloadSchedule.StopsPerDay; stop++)
        {
            var (from, to) = (Day * stop / WorkloadSchedule.StopsPerDay, Day * (stop + 1) / WorkloadSchedule.StopsPerDay);
            var start = schedule.HotStartAt(from);
            starts.Add(start);
            Assert.That(schedule.HotStartAt(from + (Day * 3)), Is.EqualTo(start), $"stop {stop}");
            var during = arrivals.Where(a => a.At >= from && a.At < to).ToList();
            // Positions are shares of the accounts in hash order, hashes of the key space: they agree but for the randomness of hashes.
            var hot = during.Count(a => hashes[a.Account] > start - 0.02 && hashes[a.Account] < start + WorkloadSchedule.HotWidth + 0.02);
            Assert.That((double)hot / during.Count, Is.InRange(WorkloadSchedule.HotShare, 0.8), $"stop {stop}");
        }

        Assert.That(starts, Has.Count.EqualTo(WorkloadSchedule.StopsPerDay));
    }
}
