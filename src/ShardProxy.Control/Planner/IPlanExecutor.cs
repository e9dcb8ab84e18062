namespace ShardProxy.Control.Planner;

/// <summary>Carries out what the planner decided: the migrator, or a recorder in tests.</summary>
public interface IPlanExecutor
{
    /// <summary>Cuts a range at a hash. Returns when the new routing table is current.</summary>
    ValueTask SplitAsync(int rangeId, long at, CancellationToken cancellationToken);

    /// <summary>
    /// Moves a range and returns when the migration has ended, well or not. Cancelling ends the wait, never leaves the work half-done.
    /// </summary>
    ValueTask<MoveOutcome> MoveAsync(int rangeId, int targetNodeId, CancellationToken cancellationToken);
}
