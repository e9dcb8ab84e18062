using System.Collections.Immutable;

namespace ShardProxy.Demo.Workload;

/// <summary>Draws every arrival of a phase beforehand, so that both phases see exactly the same traffic.</summary>
internal static class ArrivalList
{
    private const double UpdateShare = 0.2;
    private const double InsertShare = 0.05;

    /// <summary>
    /// A Poisson process with the schedule's rate, by thinning (Lewis and Shedler 1979). The same seed gives the same list.
    /// </summary>
    public static ImmutableArray<Arrival> Draw(WorkloadSchedule schedule, KeyRing keys, TimeSpan length, int seed)
    {
        var random = new Random(seed);
        var arrivals = ImmutableArray.CreateBuilder<Arrival>((int)(schedule.PeakPerSecond * length.TotalSeconds));
        double seconds = 0;
        while (true)
        {
            seconds -= Math.Log(1 - random.NextDouble()) / schedule.PeakPerSecond;
            var at = TimeSpan.FromSeconds(seconds);
            if (at >= length)
            {
                return arrivals.DrainToImmutable();
            }

            if (random.NextDouble() * schedule.PeakPerSecond < schedule.RateAt(at))
            {
                arrivals.Add(DrawOne(at, keys.At(schedule.DrawPosition(at, random)), random));
            }
        }
    }

    /// <summary>One statement on an account with the demo's mix.</summary>
    public static Arrival DrawOne(TimeSpan at, int account, Random random)
    {
        var draw = random.NextDouble();
        var kind = draw < InsertShare ? StatementKind.Insert : draw < InsertShare + UpdateShare ? StatementKind.Update : StatementKind.Read;
        return new Arrival(at, account, kind, random.Next(-100, 101));
    }
}
