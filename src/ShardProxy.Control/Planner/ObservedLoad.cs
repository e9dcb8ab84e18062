using ShardProxy.Model.Routing;
using ShardProxy.Model.Workload;
using ShardProxy.Planning.History;

namespace ShardProxy.Control.Planner;

/// <summary>The load history, shared between the collector that writes it and those that read it.</summary>
public sealed class ObservedLoad(LoadHistoryOptions options)
{
    private readonly Lock _lock = new();
    private readonly LoadHistory _history = new(options);

    /// <summary>Adds a window observed under a placement.</summary>
    public void Add(WorkloadWindow window, RoutingTable table)
    {
        lock (_lock)
        {
            _history.Add(window, table);
        }
    }

    /// <summary>Reads under the lock: take what is needed and leave, the collector waits meanwhile.</summary>
    public T Read<T>(Func<LoadHistory, T> read)
    {
        lock (_lock)
        {
            return read(_history);
        }
    }
}
