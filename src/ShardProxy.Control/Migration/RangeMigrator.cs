using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Migration.CatchingUp;
using ShardProxy.Control.Migration.CleaningUp;
using ShardProxy.Control.Migration.Copying;
using ShardProxy.Control.Migration.CuttingOver;
using ShardProxy.Control.Migration.Preparing;
using ShardProxy.Control.Migration.Verifying;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;

namespace ShardProxy.Control.Migration;

/// <summary>
/// One migration from intent to clean-up, as DESIGN section 6 lists the steps. Before the commit point every failure ends with the range
/// where it was and nothing left behind; after it there is only forward.
/// </summary>
internal sealed class RangeMigrator(MigrationContext context, NodeAdmin admin)
{
    private string _step = "";

    /// <summary>Called before each step; tests make it fail.</summary>
    public Func<string, Task> BeforeStep { get; init; } = _ => Task.CompletedTask;

    /// <summary>Runs the migration to its end. Never throws: the end, good or bad, is in the journal.</summary>
    /// <param name="cancellationToken">Aborts it while that is possible.</param>
    /// <param name="stopToken">The process stops: clean-up is left to the next start.</param>
    public async Task RunAsync(CancellationToken cancellationToken, CancellationToken stopToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, stopToken);
        MigrationState end;
        string? error = null;
        try
        {
            await MoveAsync(either.Token);
            end = MigrationState.Done;
        }
        catch (Exception e)
        {
            end = cancellationToken.IsCancellationRequested ? MigrationState.Cancelled : MigrationState.Failed;
            error = Describe(e);
        }

        await FinishAsync(end, error, stopToken);
    }

    /// <summary>
    /// Ends a migration that is not running (any more): forward when the target owns the range, else back. Also for what a crash left.
    /// Tries again until it is done or the process stops.
    /// </summary>
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

    private static string Describe(Exception e) => e switch
    {
        ShardProxyException s => s.Error.Detail is { } detail ? $"{s.Message}: {detail}" : s.Message,

        // Only the primary message's template is safe; PostgreSQL puts values into details.
        PostgresException p => $"{p.SqlState}: {p.MessageText}",
        OperationCanceledException => "cancelled",
        _ => $"{e.GetType().Name}: {e.Message}",
    };

    private async Task MoveAsync(CancellationToken cancellationToken)
    {
        // 1, 2. Intent and preparation.
        await StepAsync(MigrationState.Preparing, "preflight", cancellationToken);
        var surveys = await GroupPreparation.SurveyAsync(context, admin, cancellationToken);
        await GroupPreparation.ListObjectsAsync(context, surveys, cancellationToken);
        await StepAsync(MigrationState.Preparing, "ghost barrier", cancellationToken);
        var intent = await context.Catalog.TryUpdateAsync(Intent, cancellationToken);
        await context.PublishBarrierAsync(intent!, cancellationToken);
        await StepAsync(MigrationState.Preparing, "gates", cancellationToken);
        await GroupPreparation.BuildAsync(context, surveys, cancellationToken);
        await StepAsync(MigrationState.Preparing, "leftovers", cancellationToken);
        await GroupPreparation.ClearTargetAsync(context, cancellationToken);

        // 3. Slot, then snapshot, then copy.
        await StepAsync(MigrationState.Copying, "slot", cancellationToken);
        SnapshotHolder? holder = null;
        await context.WithinAsync(context.Options.SlotDeadline, "slot", async ct => holder = await SnapshotHolder.CreateAsync(context, ct), cancellationToken);
        await using (holder!)
        {
            await StepAsync(MigrationState.Copying, "copy", cancellationToken);
            context.Progress.StartCopy(EstimateRows(surveys, intent!), context.Time.GetTimestamp());
            await context.WithinAsync(context.Options.CopyDeadline, "copy", ct => RangeCopier.CopyAsync(context, holder!.Snapshot, ct), cancellationToken);
            context.Progress.EndCopy();
        }

        // 4. Catch up.
        await StepAsync(MigrationState.CatchingUp, "subscription", cancellationToken);
        await ApplyStream.StartAsync(context, cancellationToken);
        await using var markers = await Markers.OpenAsync(context, cancellationToken);
        await context.WithinAsync(context.Options.CatchUpDeadline, "catch up", ct => CatchUpAsync(markers, ct), cancellationToken);

        // 5. Verify.
        await StepAsync(MigrationState.Verifying, "checksums", cancellationToken);
        await context.WithinAsync(context.Options.VerifyDeadline, "verify", ct => RangeVerifier.VerifyAsync(context, markers, ct), cancellationToken);

        // 7. Cut over. (Shadow reads, 6, and the reverse stream, 8, stand around this step.)
        await StepAsync(MigrationState.CuttingOver, "cutover", cancellationToken);
        await using var cutover = await Cutover.OpenAsync(context, markers, cancellationToken);
        await context.WithinAsync(context.Options.CutoverDeadline, "cutover", cutover.RunAsync, cancellationToken);
        await LeaveStepAsync();
    }

    private async Task StepAsync(MigrationState state, string step, CancellationToken cancellationToken)
    {
        await LeaveStepAsync();
        await context.EnterAsync(state, step, cancellationToken);
        _step = step;
        await BeforeStep(step);
        await AtStepAsync(isAfter: false);
    }

    private async Task LeaveStepAsync()
    {
        if (_step.Length > 0)
        {
            await AtStepAsync(isAfter: true);
            _step = "";
        }
    }

    private Task AtStepAsync(bool isAfter) => context.Options.AtStep?.Invoke(context.Id, _step, isAfter) ?? Task.CompletedTask;

    /// <summary>Two markers in a row within the allowed lag: the backlog of the copy is gone.</summary>
    private async Task CatchUpAsync(Markers markers, CancellationToken cancellationToken)
    {
        for (var quick = 0; quick < 2;)
        {
            quick = await markers.RoundTripAsync(cancellationToken) <= context.Options.AllowedLag * 4 ? quick + 1 : 0;
        }
    }

    private CatalogState? Intent(CatalogState state)
    {
        var range = state.FindRange(context.RangeId) ?? throw new ShardProxyException(ControlErrors.RangeUnknown(context.RangeId));
        if (state.Moves.FirstOrDefault(m => m.RangeId == context.RangeId && m.MigrationId != context.Id) is { } other)
        {
            throw new ShardProxyException(ControlErrors.RangeBusy(context.RangeId, other.MigrationId));
        }

        var tables = state.Tables.Where(t => t.GroupId == range.GroupId).ToList();
        if (range != context.Range || range.NodeId != context.Source.Id || tables.Any(t => t.IsChanging)
            || tables.Count != context.Tables.Length || tables.Any(t => context.Tables.All(c => c.Table.Name != t.Name)))
        {
            throw new ShardProxyException(ControlErrors.Preflight($"range {context.RangeId} or its tables changed while the migration was prepared", "Move it again."));
        }

        return state.WithMove(
            context.Id, new RangeMove(context.Id, range.GroupId, range.Id, context.Source.Id, context.Target.Id, MovePhase.Ghosts));
    }

    /// <summary>The source's rows, by the share of its ranges of the key space that this range is.</summary>
    private long EstimateRows(IEnumerable<TableSurvey> surveys, CatalogState state)
    {
        var ranges = state.Groups.Single(g => g.Id == context.Range.GroupId).Ranges.Where(r => r.NodeId == context.Source.Id);
        var share = Width(context.Range) / ranges.Sum(Width);
        return (long)(surveys.Sum(s => s.EstimatedRows) * share);

        static double Width(ShardRange range) => (double)(range.To ?? long.MaxValue) - range.From;
    }

    private async Task TryFinishAsync(MigrationState end, string? error, CancellationToken stopToken)
    {
        // The abort is a compare-and-set too: whoever reads the result knows on which side of the commit point we are.
        var state = await context.Catalog.TryUpdateAsync(
            s => s.FindMove(context.Id) is { Phase: MovePhase.Holding } held && s.FindRange(context.RangeId)?.NodeId == context.Source.Id
                ? s.WithMove(context.Id, held with { Phase = MovePhase.Releasing })
                : null,
            stopToken) ?? await context.Catalog.LoadAsync(stopToken);
        var move = state.FindMove(context.Id);
        var isForward = move is not null && state.FindRange(context.RangeId)?.NodeId == context.Target.Id;
        if (move is not null)
        {
            await OpenGateAsync(isForward, stopToken);
            state = await context.Catalog.TryUpdateAsync(context.Release, stopToken) ?? state;
            await context.Fleet.PublishAsync(state.ToRoutingTable(), DrainScope.None, TimeSpan.FromSeconds(5), stopToken);
        }

        await context.WithinAsync(
            context.Options.CleanUpDeadline,
            "clean up",
            async ct =>
            {
                if (isForward)
                {
                    // Statements planned before the switch may still read the source's rows.
                    await context.Journal.WriteAsync(WithGhostsOnSource, ct);
                    await context.PublishBarrierAsync(state, ct);
                }

                await ObjectSweeper.SweepAsync(context, isThrottled: isForward, ct);
                if (move is not null)
                {
                    var free = await context.Catalog.TryUpdateAsync(s => s.WithMove(context.Id, null), ct);
                    await context.PublishBarrierAsync(free!, ct);
                }
            },
            stopToken);

        // A cancel or a late error that lost against the commit changes nothing about what happened. Without a move in the catalog
        // the journal's own word counts: the last step of an earlier try may have been cut off here.
        var isDone = isForward || (move is null && context.Journal.Record.State is MigrationState.CleaningUp);
        await context.Journal.WriteAsync(
            r => r with
            {
                State = isDone ? MigrationState.Done : end == MigrationState.Done ? MigrationState.Failed : end,
                Step = "",
                Error = isDone ? null : error,
                Objects = [],
                RowsDone = context.Progress.RowsDone,
                RowsTotal = context.Progress.RowsTotal,
                RowsVerified = context.Progress.RowsVerified,
                UpdatedAt = context.Time.GetUtcNow(),
            },
            stopToken);
    }

    private MigrationRecord WithGhostsOnSource(MigrationRecord record) => record with
    {
        State = MigrationState.CleaningUp,
        Step = "ghosts",
        UpdatedAt = context.Time.GetUtcNow(),
        Objects = [.. record.Objects.Select(o => o.Kind == MigrationObjectKind.GhostRows ? o with { NodeId = context.Source.Id } : o)],
    };

    /// <summary>The owner's gate; without a sequence there is nothing to open yet.</summary>
    private async Task OpenGateAsync(bool isForward, CancellationToken cancellationToken)
    {
        await using var connection = await context.Connections.OpenAsync(isForward ? context.Target : context.Source, cancellationToken);
        var sequence = MigrationNames.GateSequence(context.Id);
        if (await connection.ScalarAsync<bool>("SELECT to_regclass($1) IS NOT NULL", cancellationToken, sequence))
        {
            await RangeGate.OpenAsync(connection, context.Id, cancellationToken);
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
