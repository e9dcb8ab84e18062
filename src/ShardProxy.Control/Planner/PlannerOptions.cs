using System.Collections.Immutable;
using ShardProxy.Model.Plans;
using ShardProxy.Planning.Forecasting;
using ShardProxy.Planning.History;
using ShardProxy.Planning.Placement;

namespace ShardProxy.Control.Planner;

/// <summary>Configuration of load collection, forecasting and planning.</summary>
public sealed record PlannerOptions
{
    /// <summary>Mode at the start.</summary>
    public PlannerMode Mode { get; init; } = PlannerMode.Advise;

    /// <summary>How often the recorders are drained.</summary>
    public TimeSpan CollectInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How often forecasts and plans are made; the length of a bin is a good choice.</summary>
    public TimeSpan PlanInterval { get; init; } = TimeSpan.FromMinutes(5);

    public LoadHistoryOptions History { get; init; } = new();

    public ForecastOptions Forecast { get; init; } = new() { Seasons = [288, 2016] };

    public PlacementOptions Placement { get; init; } = new();

    public GuardOptions Guard { get; init; } = new();

    /// <summary>Plans kept for <c>SHOW PLANS</c>.</summary>
    public int MaxPlansKept { get; init; } = 100;

    /// <summary>
    /// Options whose times all follow from the length of a bin, so that a demonstration in fast time runs with production's proportions.
    /// </summary>
    /// <param name="mode">Mode at the start.</param>
    /// <param name="bin">Length of a bin and pace of planning; five minutes in production.</param>
    /// <param name="seasonBins">Bins of the main season, a day as a rule; 0 when it is to be found in the load.</param>
    /// <param name="horizon">Steps to forecast and plan for.</param>
    public static PlannerOptions Of(PlannerMode mode, TimeSpan bin, int seasonBins, int horizon) => new()
    {
        Mode = mode,
        CollectInterval = TimeSpan.FromTicks(Math.Min(TimeSpan.FromSeconds(10).Ticks, bin.Ticks / 4)),
        PlanInterval = bin,
        History = new LoadHistoryOptions { BinLength = bin, MaxBins = Math.Max(2016, 30 * seasonBins) },
        Forecast = new ForecastOptions { Horizon = horizon, Seasons = SeasonsOf(seasonBins), Level = 0.9 },
        Placement = new PlacementOptions
        {
            StepLength = bin,
            CoolDown = bin * 6,
            ReturnBan = bin * Math.Max(72, seasonBins),
            MoveFixedTime = TimeSpan.FromSeconds(1.5),
            MinimumGain = 0.1,
        },
        Guard = new GuardOptions { BudgetWindow = bin * 12, MaxMovesPerWindow = 12, MaxPlanAge = bin * 4 },
    };

    /// <summary>A day and its week, when the season is a day of five-minute bins or coarser; else the season alone.</summary>
    private static ImmutableArray<int> SeasonsOf(int seasonBins) => seasonBins switch
    {
        0 => [],
        >= 96 => [seasonBins, 7 * seasonBins],
        _ => [seasonBins],
    };
}
