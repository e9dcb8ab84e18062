using System.Collections.Immutable;
using ShardProxy.Demo.Accounting;
using ShardProxy.Demo.Gate;
using ShardProxy.Demo.View;
using ShardProxy.Demo.Workload;

namespace ShardProxy.Demo;

/// <summary>Looks at gates, latencies and the console at a steady pace, and makes frames of what it sees.</summary>
internal sealed class DemoMonitor(
    DemoConsole console, ImmutableArray<NodeFront> fronts, WorkloadGenerator generator, ErrorLog errors, DemoTimetable timetable, double capacity, TimeProvider time)
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(500);

    /// <summary>Frames a latency window is made of.</summary>
    private const int LatencyFrames = 3;

    private readonly Dictionary<(int Range, DateTimeOffset At), double> _forecasts = [];
    private readonly Queue<long[]> _latencies = new();
    private readonly long[] _passed = new long[fronts.Length];

    /// <summary>Shows a phase until <paramref name="phaseEnd"/> completes.</summary>
    /// <param name="phase">Its name.</param>
    /// <param name="start">Timestamp of its start.</param>
    /// <param name="before">Workload time that was over at its start.</param>
    /// <param name="latencies">Its latencies.</param>
    /// <param name="imbalance">Takes every interval.</param>
    /// <param name="offP99Ms">Of the phase without the planner, once known.</param>
    /// <param name="show">Takes the frames.</param>
    /// <param name="phaseEnd">When to stop.</param>
    /// <param name="cancellationToken">Ends the demo.</param>
    public async Task WatchAsync(
        string phase, long start, TimeSpan before, LatencyRecorder latencies, ImbalanceMeter imbalance, double? offP99Ms, Action<DemoFrame> show, Task phaseEnd,
        CancellationToken cancellationToken)
    {
        _latencies.Clear();
        _latencies.Enqueue(latencies.Snapshot());
        var last = time.GetTimestamp();
        Count();
        using var timer = new PeriodicTimer(Pace, time);
        while (!phaseEnd.IsCompleted)
        {
            await timer.WaitForNextTickAsync(cancellationToken);
            var served = Count();
            var seconds = time.GetElapsedTime(last).TotalSeconds;
            last = time.GetTimestamp();
            imbalance.Add(served);
            show(await FrameAsync(phase, time.GetElapsedTime(start), before, served, seconds, latencies, offP99Ms, cancellationToken));
        }
    }

    private long[] Count()
    {
        var served = new long[fronts.Length];
        for (var i = 0; i < fronts.Length; i++)
        {
            var now = fronts[i].Gate.Passed;
            served[i] = now - _passed[i];
            _passed[i] = now;
        }

        return served;
    }

    private async Task<DemoFrame> FrameAsync(
        string phase, TimeSpan elapsed, TimeSpan before, long[] served, double seconds, LatencyRecorder latencies, double? offP99Ms, CancellationToken cancellationToken)
    {
        var ranges = await console.RangesAsync(cancellationToken);
        await RememberForecastsAsync(cancellationToken);
        // The bin that the console's loads are about is the last complete one.
        var shown = Floor(time.GetUtcNow()) - timetable.Bin;
        var rangeFrames = ranges.Select(r => new DemoFrame.RangeFrame(
            r.Id, r.Node, r.State, r.Load, _forecasts.TryGetValue((r.Id, shown), out var f) ? f : null)).ToImmutableArray();
        var migrations = await console.MigrationsAsync(cancellationToken);
        var plans = await console.PlansAsync(cancellationToken);
        var snapshot = latencies.Snapshot();
        _latencies.Enqueue(snapshot);
        while (_latencies.Count > LatencyFrames + 1)
        {
            _latencies.Dequeue();
        }

        return new DemoFrame
        {
            Phase = phase,
            Elapsed = before + elapsed,
            Total = timetable.Phase * 2,
            Day = Math.Min(DemoTimetable.DaysPerPhase, (int)(elapsed / timetable.Day) + 1),
            Nodes = [.. fronts.Select((front, i) => new DemoFrame.NodeFrame(
                front.Name, served[i] / seconds, capacity, NodeForecast(front.Name, rangeFrames), front.Gate.Waiting))],
            Ranges = rangeFrames,
            Migrations = migrations,
            Plan = plans.FirstOrDefault()?.Reason ?? "",
            P50Ms = LatencyRecorder.QuantileMs(_latencies.Peek(), snapshot, 0.5),
            P99Ms = LatencyRecorder.QuantileMs(_latencies.Peek(), snapshot, 0.99),
            OffP99Ms = offP99Ms,
            Errors = errors.Count,
            Open = generator.Open,
        };
    }

    private static double? NodeForecast(string node, ImmutableArray<DemoFrame.RangeFrame> ranges)
    {
        var known = ranges.Where(r => r.Node == node && r.Forecast is not null).ToList();
        return known.Count == 0 ? null : known.Sum(r => r.Forecast!.Value);
    }

    /// <summary>Keeps the first step of every forecast until its time has come, to show it beside what came.</summary>
    private async Task RememberForecastsAsync(CancellationToken cancellationToken)
    {
        foreach (var forecast in await console.ForecastsAsync(cancellationToken))
        {
            if (forecast.Step == 1)
            {
                _forecasts[(forecast.Range, Floor(forecast.At))] = forecast.Forecast;
            }
        }

        var old = Floor(time.GetUtcNow()) - (timetable.Bin * 8);
        foreach (var key in _forecasts.Keys.Where(k => k.At < old).ToList())
        {
            _forecasts.Remove(key);
        }
    }

    private DateTimeOffset Floor(DateTimeOffset at) => new(at.UtcTicks / timetable.Bin.Ticks * timetable.Bin.Ticks, TimeSpan.Zero);
}
