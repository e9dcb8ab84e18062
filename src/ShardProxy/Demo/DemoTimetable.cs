namespace ShardProxy.Demo;

/// <summary>How the demo's seconds are spent: start, then days without and days with the planner, then verification.</summary>
internal sealed record DemoTimetable
{
    /// <summary>Days in each phase: fewer than two show no season.</summary>
    public const int DaysPerPhase = 3;

    /// <summary>History bins a day.</summary>
    public const int BinsPerDay = 32;

    /// <summary>Steps the planner looks ahead: three quarters of a day.</summary>
    public const int Horizon = 24;

    /// <summary>What starting, loading, calibrating and verifying take on a small machine.</summary>
    private const int OverheadSeconds = 24;

    private DemoTimetable(TimeSpan bin) => Bin = bin;

    public TimeSpan Bin { get; }

    public TimeSpan Day => Bin * BinsPerDay;

    /// <summary>One phase, with or without the planner.</summary>
    public TimeSpan Phase => Day * DaysPerPhase;

    public static DemoTimetable Of(int seconds)
    {
        var day = Math.Max(3.2, (seconds - OverheadSeconds) / (2.0 * DaysPerPhase));
        return new DemoTimetable(TimeSpan.FromMilliseconds(Math.Round(day * 1000 / BinsPerDay)));
    }
}
