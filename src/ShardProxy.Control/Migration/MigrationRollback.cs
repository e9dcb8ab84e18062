using ShardProxy.Catalog;
using ShardProxy.Catalog.Journal;
using ShardProxy.Model.Errors;

namespace ShardProxy.Control.Migration;

/// <summary>Brings a migration's range back: by the cutover of its open window, else by a move of its own.</summary>
/// <param name="catalog">Where the range is.</param>
/// <param name="move">Moves a range to a node and waits for it.</param>
/// <param name="time">Clock of the journal.</param>
internal sealed class MigrationRollback(RoutingCatalog catalog, Func<int, string, CancellationToken, Task<MoveResult>> move, TimeProvider time)
{
    /// <returns>The move that did it where the window had closed, for a notice; or the error of what failed.</returns>
    /// <exception cref="ShardProxyException">SHP-519: there is nothing to bring back.</exception>
    public async Task<MoveResult> RunAsync(MigrationJob job, CancellationToken cancellationToken)
    {
        var migrationId = job.Record.Id;
        if (!job.Arrived.IsCompleted)
        {
            throw new ShardProxyException(ControlErrors.CannotRollBack(migrationId, "it is under way still", "CANCEL MIGRATION takes it back."));
        }

        if (!job.Over.IsCompleted)
        {
            // Whoever asks while it is being closed waits for that.
            var inTheWay = await job.GoBackAsync().WaitAsync(cancellationToken);
            await job.Over.WaitAsync(cancellationToken);
            if (inTheWay is null)
            {
                return new MoveResult(migrationId, null, null);
            }

            if (job.Record.State != MigrationState.Done || !job.IsClosed)
            {
                return new MoveResult(migrationId, null, ControlErrors.RollbackFailed(migrationId, inTheWay));
            }
        }

        return await MoveBackAsync(job, cancellationToken);
    }

    private async Task<MoveResult> MoveBackAsync(MigrationJob job, CancellationToken cancellationToken)
    {
        var record = job.Record;
        if (record.State != MigrationState.Done)
        {
            throw new ShardProxyException(ControlErrors.CannotRollBack(record.Id, $"its state is {MigrationViews.StateName(record.State)}", "The range is where it was before it."));
        }

        var state = await catalog.LoadAsync(cancellationToken);
        if (state.FindRange(record.RangeId)?.NodeId != record.TargetNodeId)
        {
            throw new ShardProxyException(ControlErrors.CannotRollBack(record.Id, $"range {record.RangeId} is not on its target any more", "MOVE RANGE brings it where you want it."));
        }

        var source = state.Nodes.FirstOrDefault(n => n.Id == record.SourceNodeId) ?? throw new ShardProxyException(ControlErrors.NodeUnknown($"#{record.SourceNodeId}"));
        var moved = await move(record.RangeId, source.Name, cancellationToken);
        if (moved.Error is null)
        {
            await job.Journal.WriteAsync(r => r with { State = MigrationState.RolledBack, UpdatedAt = time.GetUtcNow() }, cancellationToken);
        }

        return moved with { Notice = $"the rollback window of migration {record.Id} had closed: migration {moved.MigrationId} moved range {record.RangeId} back" };
    }
}
