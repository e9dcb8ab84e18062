using System.Collections.Immutable;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Migration.CatchingUp;
using ShardProxy.Control.Migration.Copying;
using ShardProxy.Control.Migration.CuttingOver;
using ShardProxy.Control.Migration.Preparing;
using ShardProxy.Control.Migration.ReadingAhead;
using ShardProxy.Control.Migration.ShadowReading;
using ShardProxy.Control.Migration.Verifying;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;

namespace ShardProxy.Control.Migration;

/// <summary>
/// One migration from intent to the end of its rollback window, as DESIGN section 6 lists the steps. Before the commit point every failure ends with the range
/// where it was and nothing left behind; after it there is only forward, or back by the same protocol.
/// </summary>
internal sealed class RangeMigrator(MigrationContext context, NodeAdmin admin)
{
    private readonly MigrationEnd _end = new(context);

    /// <summary>Runs the migration to its end. Never throws: the end, good or bad, is in the journal.</summary>
    /// <param name="job">Hears when the range has arrived, and says what its window is to do.</param>
    /// <param name="stopToken">The process stops: what is left to do is left to the next start.</param>
    public async Task RunAsync(MigrationJob job, CancellationToken stopToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(job.Cancel.Token, stopToken);
        try
        {
            await MoveAsync(either.Token);
        }
        catch (Exception e)
        {
            await _end.FinishAsync(job.Cancel.IsCancellationRequested ? MigrationState.Cancelled : MigrationState.Failed, MigrationEnd.Describe(e), stopToken);
            return;
        }

        if (!context.IsReversible)
        {
            await _end.FinishAsync(MigrationState.Done, null, stopToken);
            return;
        }

        try
        {
            await OpenWindowAsync(stopToken);
            job.Arrive();
            if (await new RollbackWindow(context, job).WaitAsync(stopToken))
            {
                await RollBackAsync(job, stopToken);
                return;
            }
        }
        catch (Exception)
        {
            // The way back is gone, or the process stops: the range has moved all the same.
        }

        await _end.FinishAsync(MigrationState.Done, null, stopToken);
    }

    private async Task OpenWindowAsync(CancellationToken stopToken)
    {
        await context.EnterAsync(MigrationState.CuttingOver, "way back", stopToken);
        await context.WithinAsync(
            context.Options.SlotDeadline,
            "way back",
            ct => ReverseStream.StartAsync(context, context.Journal.Record.TargetLsn ?? throw new InvalidOperationException("no position of the target"), ct),
            stopToken);
        await context.EnterAsync(MigrationState.Reversible, "rollback window", stopToken);
    }

    private async Task RollBackAsync(MigrationJob job, CancellationToken stopToken)
    {
        string? error = null;
        try
        {
            await MoveBackAsync(stopToken);
        }
        catch (Exception e)
        {
            error = MigrationEnd.Describe(e);
        }

        await _end.FinishAsync(MigrationState.RolledBack, error, stopToken);
        job.AnswerRollback(context.Journal.Record.State == MigrationState.RolledBack ? null : error ?? "the control plane stopped");
    }

    private async Task MoveAsync(CancellationToken cancellationToken)
    {
        // 1, 2. Intent and preparation.
        await context.EnterAsync(MigrationState.Preparing, "preflight", cancellationToken);
        var surveys = await GroupPreparation.SurveyAsync(context, admin, cancellationToken);
        await GroupPreparation.ListObjectsAsync(context, surveys, cancellationToken);
        await context.EnterAsync(MigrationState.Preparing, "ghost barrier", cancellationToken);
        var intent = await context.Catalog.TryUpdateAsync(Intent, cancellationToken);
        await context.PublishBarrierAsync(intent!, cancellationToken);
        await context.EnterAsync(MigrationState.Preparing, "gates", cancellationToken);
        await GroupPreparation.BuildAsync(context, surveys, cancellationToken);
        await context.EnterAsync(MigrationState.Preparing, "leftovers", cancellationToken);
        await GroupPreparation.ClearTargetAsync(context, cancellationToken);
        var absent = await DeferredIndexes.DropAsync(context, surveys, cancellationToken);

        // Nobody changes the tables until the range is where it goes.
        await using var hold = await TableHold.TakeAsync(context, absent, cancellationToken);

        // 3. Slot, then snapshot, then copy.
        await context.EnterAsync(MigrationState.Copying, "slot", cancellationToken);
        SnapshotHolder? holder = null;
        await context.WithinAsync(context.Options.SlotDeadline, "slot", async ct => holder = await SnapshotHolder.CreateAsync(context, ct), cancellationToken);
        await using (holder!)
        {
            await context.EnterAsync(MigrationState.Copying, "copy", cancellationToken);
            context.Progress.StartCopy(EstimateRows(surveys, intent!), context.Time.GetTimestamp());
            await context.WithinAsync(context.Options.CopyDeadline, "copy", ct => RangeCopier.CopyAsync(context, holder!.Snapshot, ct), cancellationToken);
            context.Progress.EndCopy();
        }

        if (absent.Count > 0)
        {
            await context.EnterAsync(MigrationState.Copying, "indexes", cancellationToken);
            await context.WithinAsync(context.Options.CopyDeadline, "indexes", ct => DeferredIndexes.MakeAsync(context, ct), cancellationToken);
        }

        await context.EnterAsync(MigrationState.Copying, "target gate", cancellationToken);
        await GroupPreparation.CompleteTargetAsync(context, surveys, cancellationToken);

        // 4. Catch up.
        await context.EnterAsync(MigrationState.CatchingUp, "subscription", cancellationToken);
        await ApplyStream.SubscribeAsync(context, context.Source, context.Target, context.Names.Stream, isEnabled: true, cancellationToken);
        await using var markers = await Markers.OpenAsync(context, cancellationToken);
        await context.WithinAsync(context.Options.CatchUpDeadline, "catch up", ct => CatchUpAsync(markers, ct), cancellationToken);
        if (context.IsReversible)
        {
            await context.EnterAsync(MigrationState.CatchingUp, "reverse stream", cancellationToken);
            await context.WithinAsync(context.Options.SlotDeadline, "reverse stream", ct => ReverseStream.PrepareAsync(context, ct), cancellationToken);
        }

        // Clients that accept staleness may read there from here on.
        await ReadAheadPermission.GiveAsync(context, cancellationToken);

        // 5 to 7. A live read that differs ends it until the commit point.
        await ShadowReads.GuardAsync(context, ct => VerifyAndCutOverAsync(markers, hold, ct), cancellationToken);
    }

    private async Task VerifyAndCutOverAsync(Markers markers, TableHold hold, CancellationToken cancellationToken)
    {
        // 5. Verify.
        await context.EnterAsync(MigrationState.Verifying, "checksums", cancellationToken);
        await context.WithinAsync(context.Options.VerifyDeadline, "verify", ct => RangeVerifier.VerifyAsync(context, markers, ct), cancellationToken);

        // 6. Shadow reads.
        if (context.Options.Shadow is not null)
        {
            await context.EnterAsync(MigrationState.Verifying, "shadow reads", cancellationToken);
            await ShadowReads.RunAsync(context, cancellationToken);
        }

        // 7. Cut over.
        await CutOverAsync(markers, hold, cancellationToken);
    }

    /// <summary>The same protocol backwards: the target's changes have come to the source all the time.</summary>
    private async Task MoveBackAsync(CancellationToken cancellationToken)
    {
        await context.EnterAsync(MigrationState.CatchingUp, "rollback", cancellationToken, r => r with { IsBackward = true });
        await context.Catalog.TryUpdateAsync(s => s.FindMove(context.Id) is { } m ? s.WithMove(context.Id, m with { Phase = MovePhase.Ghosts }) : null, cancellationToken);
        await using var hold = await TableHold.TakeAsync(context, ImmutableHashSet<string>.Empty, cancellationToken);
        await using var markers = await Markers.OpenAsync(context, cancellationToken);
        await context.WithinAsync(context.Options.CatchUpDeadline, "catch up", ct => CatchUpAsync(markers, ct), cancellationToken);
        await context.EnterAsync(MigrationState.Verifying, "rollback checksums", cancellationToken);
        await context.WithinAsync(context.Options.VerifyDeadline, "verify", ct => RangeVerifier.VerifyAsync(context, markers, ct), cancellationToken);
        await CutOverAsync(markers, hold, cancellationToken);
    }

    private async Task CutOverAsync(Markers markers, TableHold hold, CancellationToken cancellationToken)
    {
        await context.EnterAsync(MigrationState.CuttingOver, context.IsBackward ? "rollback cutover" : "cutover", cancellationToken);
        await hold.CheckAsync(cancellationToken);
        await using var cutover = await Cutover.OpenAsync(context, markers, cancellationToken);
        await context.WithinAsync(context.Options.CutoverDeadline, "cutover", cutover.RunAsync, cancellationToken);
    }

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

        var tables = state.Tables.Where(t => t.GroupId == range.GroupId && !t.IsPartitioned).ToList();
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
}
