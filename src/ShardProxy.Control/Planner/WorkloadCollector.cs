using Microsoft.Extensions.Logging;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Workload;

namespace ShardProxy.Control.Planner;

/// <summary>Drains the recorders at a steady pace into the history.</summary>
/// <param name="sources">The data paths' recorders.</param>
/// <param name="load">Where windows go.</param>
/// <param name="currentTable">The placement now.</param>
/// <param name="interval">Pace.</param>
/// <param name="time">Clock and timer.</param>
/// <param name="logger">For a source that fails.</param>
public sealed partial class WorkloadCollector(
    IReadOnlyList<IWorkloadSource> sources, ObservedLoad load, Func<RoutingTable> currentTable, TimeSpan interval, TimeProvider time, ILogger<WorkloadCollector> logger)
{
    /// <summary>Collects until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
            {
                CollectOnce();
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked to stop.
        }
    }

    /// <summary>Takes one window from every source. A source that fails costs its window, not the others'.</summary>
    public void CollectOnce()
    {
        foreach (var source in sources)
        {
            try
            {
                load.Add(source.TakeWindow(), currentTable());
            }
            catch (Exception e)
            {
                Log.SourceFailed(logger, e);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(5601, LogLevel.Warning, "A workload window could not be taken; it is missing from the load history")]
        public static partial void SourceFailed(ILogger logger, Exception exception);
    }
}
