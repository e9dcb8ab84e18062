using ShardProxy.DataPath.Types;
using ShardProxy.Model.Routing;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// The one mutable reference of the data path: the current routing table. Swapped whole; held statements wait on it.
/// </summary>
public sealed class RoutingTableHolder
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private RoutingTable _current;

    public RoutingTableHolder(RoutingTable initial)
    {
        _current = initial;
        Types.Update(initial.Schema.Types);
    }

    /// <summary>How the nodes number the user's types by that table.</summary>
    internal TypeTables Types { get; } = new();

    /// <summary>The current table. Read it once a statement.</summary>
    public RoutingTable Current => Volatile.Read(ref _current);

    /// <summary>Swaps in a newer table and wakes everything that waits; an older epoch is ignored.</summary>
    /// <returns>False when the current table was already as new.</returns>
    public bool Publish(RoutingTable table)
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            if (table.Epoch <= _current.Epoch)
            {
                return false;
            }

            Types.Update(table.Schema.Types);
            Volatile.Write(ref _current, table);
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.SetResult();
        return true;
    }

    /// <summary>Completes when a table newer than <paramref name="epoch"/> is current.</summary>
    public Task WaitForNewerAsync(long epoch)
    {
        lock (_lock)
        {
            return _current.Epoch > epoch ? Task.CompletedTask : _changed.Task;
        }
    }
}
