using System.Diagnostics;
using System.Diagnostics.Metrics;
using ShardProxy.Model.Metrics;

namespace ShardProxy.Admin.Metrics;

/// <summary>CPU, memory, garbage collector and thread pool of this process, read when a scrape asks.</summary>
public sealed class ProcessMetrics : IDisposable
{
    private readonly Meter _meter = new(MetricMeters.Process);

    public ProcessMetrics()
    {
        _meter.CreateObservableCounter(MetricCatalog.ProcessCpu.Name, () => Environment.CpuUsage.TotalTime.TotalSeconds);
        _meter.CreateObservableGauge(MetricCatalog.ProcessMemory.Name, () => Environment.WorkingSet);
        _meter.CreateObservableGauge(MetricCatalog.ProcessStart.Name, static () => OfProcess(static p => new DateTimeOffset(p.StartTime).ToUnixTimeMilliseconds() / 1e3));
        _meter.CreateObservableGauge(MetricCatalog.ProcessThreads.Name, static () => OfProcess(static p => p.Threads.Count));
        _meter.CreateObservableCounter(MetricCatalog.GcCollections.Name, Collections);
        _meter.CreateObservableCounter(MetricCatalog.GcPause.Name, static () => GC.GetTotalPauseDuration().TotalSeconds);
        _meter.CreateObservableCounter(MetricCatalog.GcAllocated.Name, static () => GC.GetTotalAllocatedBytes());
        _meter.CreateObservableGauge(MetricCatalog.GcHeap.Name, static () => GC.GetGCMemoryInfo().HeapSizeBytes);
        _meter.CreateObservableGauge(MetricCatalog.ThreadPoolQueue.Name, static () => ThreadPool.PendingWorkItemCount);
    }

    /// <summary>The meter, for a listener that wants only this instance.</summary>
    public Meter Meter => _meter;

    public void Dispose() => _meter.Dispose();

    private static double OfProcess(Func<Process, double> read)
    {
        using var process = Process.GetCurrentProcess();
        return read(process);
    }

    /// <summary>The runtime counts a collection of a generation for all younger ones too: take those away.</summary>
    private static IEnumerable<Measurement<long>> Collections()
    {
        for (var generation = 0; generation <= GC.MaxGeneration; generation++)
        {
            var older = generation < GC.MaxGeneration ? GC.CollectionCount(generation + 1) : 0;
            yield return new Measurement<long>(GC.CollectionCount(generation) - older, new KeyValuePair<string, object?>("generation", generation));
        }
    }
}
