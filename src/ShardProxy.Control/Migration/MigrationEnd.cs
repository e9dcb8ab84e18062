using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Migration.CleaningUp;
using ShardProxy.Control.Migration.Preparing;
using ShardProxy.Control.Migration.ReadingAhead;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;

namespace ShardProxy.Control.Migration;

/// <summary>
/// The end of a migration, whichever way it went and whoever began it: settles who owns the range, opens the owner's gate, ends the hold, removes ghosts and every object
/// that the journal lists. Idempotent, and tried until it is done.
/// </summary>
internal sealed class MigrationEnd(MigrationContext context)
{
    /// <summary>An error as SHOW MIGRATIONS shows it: without values.</summary>
    public static string Describe(Exception e) => e switch
    {
        ShardProxyException s => $"{(s.Error.Detail is { } detail ? $"{s.Message}: {detail}" : s.Message)}{(s.Error.Hint is { } hint ? $" {hint}" : "")}",

        // Only the primary message's template is safe; PostgreSQL puts values into details.
        PostgresException p => $"{p.SqlState}: {p.MessageText}",
        OperationCanceledException => "cancelled",
        _ => $"{e.GetType().Name}: {e.Message}",
    };

    /// <summary>Tries again until it is done, the process stops, or another control plane has taken the migration over. Never throws.</summary>
    /// <param name="end">What the migration is called when the range is not at its target: failed, cancelled, rolled back, or queued again.</param>
    /// <param name="error">Why; null for nothing.</param>
    /// <param name="stopToken">The process stops.</param>
    public async Task FinishAsync(MigrationState end, string? error, CancellationToken stopToken)
    {
        for (var attempt = 0; !stopToken.IsCancellationRequested; attempt++)
        {
            try
            {
                await TryFinishAsync(end, error, stopToken);
                return;
            }
            catch (Exception) when (stopToken.IsCancellationRequested)
            {
                return;
            }
            catch (ShardProxyException e) when (e.Error.Code == CatalogErrors.JournalTakenCode)
            {
                // Another control plane has it now: not one step more.
                return;
            }
            catch (Exception e)
            {
                try
                {
                    await NoteAsync(Describe(e), stopToken);
                }
                catch (ShardProxyException)
                {
                    return;
                }

                await BackOffQuietlyAsync(attempt, stopToken);
            }
        }
    }

    private async Task TryFinishAsync(MigrationState end, string? error, CancellationToken stopToken)
    {
        // The abort is a compare-and-set too: whoever reads the result knows on which side of the commit point we are.
        var state = await context.Catalog.TryUpdateAsync(
            s => s.FindMove(context.Id) is { Phase: MovePhase.Holding } held ? s.WithMove(context.Id, held with { Phase = MovePhase.Releasing }) : null,
            stopToken) ?? await context.Catalog.LoadAsync(stopToken);
        var move = state.FindMove(context.Id);
        var isAtTarget = move is not null && state.FindRange(context.RangeId)?.NodeId == context.Target.Id;
        if (move is not null)
        {
            await OpenGateAsync(isAtTarget ? context.Target : context.Source, stopToken);
            state = await context.Catalog.TryUpdateAsync(context.Release, stopToken) ?? state;
            state = await context.Catalog.TryUpdateAsync(s => ReadAheadPermission.TakeBack(context, s), stopToken) ?? state;
            await context.Fleet.PublishAsync(state.ToRoutingTable(), DrainScope.None, TimeSpan.FromSeconds(5), stopToken);
            var ghostsOn = isAtTarget ? context.Source.Id : context.Target.Id;
            await context.EnterAsync(
                isAtTarget || context.IsBackward ? MigrationState.CleaningUp : context.Journal.Record.State,
                "clean up",
                stopToken,
                r => r with
                {
                    HasArrived = isAtTarget,
                    Error = isAtTarget ? r.Error : error ?? r.Error,
                    IsBackward = r.IsBackward && !isAtTarget,
                    Objects = [.. r.Objects.Select(o => o.Kind == MigrationObjectKind.GhostRows ? o with { NodeId = ghostsOn } : o)],
                });
        }

        var hasMoved = isAtTarget || context.Journal.Record.IsBackward;
        await context.WithinAsync(
            context.Options.CleanUpDeadline,
            "clean up",
            async ct =>
            {
                if (move is not null || hasMoved)
                {
                    // Statements planned before the switch may still read the rows that are ghosts since, and reads ahead the copy.
                    await context.PublishBarrierAsync(state, ct);
                }

                await ObjectSweeper.SweepAsync(context, isThrottled: hasMoved, ct);
                if (move is not null)
                {
                    var free = await context.Catalog.TryUpdateAsync(s => s.WithMove(context.Id, null), ct);
                    await context.PublishBarrierAsync(free!, ct);
                }
            },
            stopToken);
        await context.LeaveAsync();
        await context.Journal.WriteAsync(r => Ended(r, isAtTarget, move is not null, end, error), stopToken);
    }

    // A cancel or a late error that lost against the commit changes nothing about what happened. Without a move in the catalog the journal's own word counts: the last step
    // of an earlier try may have been cut off here.
    private MigrationRecord Ended(MigrationRecord record, bool isAtTarget, bool hadMove, MigrationState end, string? error)
    {
        var hasArrived = hadMove ? isAtTarget : record.HasArrived;
        var state = hasArrived ? MigrationState.Done : record.IsBackward ? MigrationState.RolledBack : end is MigrationState.Done or MigrationState.RolledBack ? MigrationState.Failed : end;
        return record with
        {
            State = state,
            Step = "",
            Error = state is MigrationState.Done or MigrationState.RolledBack or MigrationState.Queued ? null : error,
            Objects = [],
            Attempt = state == MigrationState.Queued ? record.Attempt + 1 : record.Attempt,
            RowsDone = context.Progress.RowsDone > 0 ? context.Progress.RowsDone : record.RowsDone,
            RowsTotal = context.Progress.RowsTotal > 0 ? context.Progress.RowsTotal : record.RowsTotal,
            RowsVerified = context.Progress.RowsVerified > 0 ? context.Progress.RowsVerified : record.RowsVerified,
            UpdatedAt = context.Time.GetUtcNow(),
        };
    }

    /// <summary>The owner's gate; without a sequence there is nothing to open yet.</summary>
    private async Task OpenGateAsync(Model.Topology.Node owner, CancellationToken cancellationToken)
    {
        await using var connection = await context.Connections.OpenAsync(owner, cancellationToken);
        if (await connection.ScalarAsync<bool>("SELECT to_regclass($1) IS NOT NULL", cancellationToken, context.Names.GateSequence))
        {
            await RangeGate.OpenAsync(connection, context.Names, cancellationToken);
        }
    }

    private async Task NoteAsync(string error, CancellationToken stopToken)
    {
        try
        {
            await context.Journal.WriteAsync(r => r with { Error = error, UpdatedAt = context.Time.GetUtcNow() }, stopToken);
        }
        catch (Exception e) when (e is not ShardProxyException { Error.Code: CatalogErrors.JournalTakenCode })
        {
            // The catalog is away too; the clean-up that follows will tell.
        }
    }

    private async Task BackOffQuietlyAsync(int attempt, CancellationToken stopToken)
    {
        try
        {
            await context.BackOffAsync(attempt, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(15), stopToken);
        }
        catch (OperationCanceledException)
        {
            // The loop looks at the token.
        }
    }
}
