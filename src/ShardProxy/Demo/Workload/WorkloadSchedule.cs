using System.Collections.Immutable;

namespace ShardProxy.Demo.Workload;

/// <summary>
/// The traffic the demo makes: a daily shape, and a hot part of the key space that wanders over fixed stops, the same every day. Lives
/// only here: forecaster and planner see recorded traffic and nothing else.
/// </summary>
internal sealed class WorkloadSchedule
{
    /// <summary>Places the hot part stands at in a day.</summary>
    public const int StopsPerDay = 4;

    /// <summary>Share of all statements that goes to the hot part.</summary>
    public const double HotShare = 0.65;

    /// <summary>Width of the hot part as a share of the key space.</summary>
    public const double HotWidth = 1.0 / 16;

    /// <summary>Load at midnight as a share of the load at noon.</summary>
    private const double Night = 0.25;

    private readonly TimeSpan _day;
    private readonly ImmutableArray<double> _stops;

    /// <param name="day">Length of a day.</param>
    /// <param name="peakPerSecond">Statements per second at noon.</param>
    /// <param name="seed">Seed of the stops.</param>
    public WorkloadSchedule(TimeSpan day, double peakPerSecond, int seed)
    {
        _day = day;
        PeakPerSecond = peakPerSecond;
        var random = new Random(seed);
        // One stop in each quarter of the key space, in random order, so that the hot part really wanders.
        var stops = Enumerable.Range(0, StopsPerDay).Select(i => (i + (random.NextDouble() * (1 - (HotWidth * StopsPerDay)))) / StopsPerDay).ToArray();
        random.Shuffle(stops);
        _stops = [.. stops];
    }

    public double PeakPerSecond { get; }

    /// <summary>Statements per second at a time since the phase began; midnight at 0.</summary>
    public double RateAt(TimeSpan at)
    {
        var sine = Math.Sin(Math.PI * DayFraction(at));
        return PeakPerSecond * (Night + ((1 - Night) * sine * sine));
    }

    /// <summary>Where the hot part begins, as a share of the key space in hash order.</summary>
    public double HotStartAt(TimeSpan at) => _stops[Math.Min(StopsPerDay - 1, (int)(DayFraction(at) * StopsPerDay))];

    /// <summary>Draws the place of one statement's key in the key space, 0 to 1 in hash order.</summary>
    public double DrawPosition(TimeSpan at, Random random) => random.NextDouble() < HotShare
        ? HotStartAt(at) + (HotWidth * random.NextDouble())
        : random.NextDouble();

    private double DayFraction(TimeSpan at) => at / _day % 1;
}
