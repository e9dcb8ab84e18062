using System.Globalization;
using ShardProxy.Admin.Backend;
using ShardProxy.Admin.Console.Syntax;
using ShardProxy.Admin.Views;
using ShardProxy.Model.Console;
using ShardProxy.Model.Routing;

namespace ShardProxy.Admin.Console.Commands;

/// <summary>
/// Commands that change something. Names and ids are checked against the current snapshot first, for a good message; the control
/// plane checks again when it acts.
/// </summary>
internal sealed class OperationCommands(AdminBackend backend)
{
    public ValueTask<ConsoleReply> RunAsync(ConsoleStatement statement, CancellationToken cancellationToken) => statement switch
    {
        ShardTableStatement s => ShardAsync(s, cancellationToken),
        UnshardTableStatement s => UnshardAsync(s, cancellationToken),
        ReplicateTableStatement s => ReplicateAsync(s, cancellationToken),
        SplitRangeStatement s => SplitAsync(s, cancellationToken),
        MergeRangesStatement s => MergeAsync(s, cancellationToken),
        MoveRangeStatement s => MoveAsync(s, cancellationToken),
        CancelMigrationStatement s => CancelAsync(s, cancellationToken),
        RollbackMigrationStatement s => RollbackAsync(s, cancellationToken),
        SetPlannerModeStatement s => SetModeAsync(s, cancellationToken),
        ApprovePlanStatement s => ApproveAsync(s, cancellationToken),
        PauseStatement s => PauseAsync(s.Database, cancellationToken),
        ResumeStatement s => new(Resume(s.Database)),
        ReloadStatement => ReloadAsync(cancellationToken),
        KillStatement s => new(Kill(s.SessionId)),
        _ => throw new ArgumentOutOfRangeException(nameof(statement)),
    };

    private async ValueTask<ConsoleReply> PauseAsync(string? database, CancellationToken cancellationToken)
    {
        await backend.Proxy.PauseAsync(database, cancellationToken).ConfigureAwait(false);
        return ConsoleReply.Done("PAUSE");
    }

    private ConsoleReply Resume(string? database)
    {
        var resumed = backend.Proxy.Resume(database);
        return ConsoleReply.Done("RESUME", resumed.Count > 0 ? [] : [database is null ? "nothing is paused" : $"database \"{database}\" is not paused"]);
    }

    private async ValueTask<ConsoleReply> ReloadAsync(CancellationToken cancellationToken) =>
        ConsoleReply.Done("RELOAD", await backend.Proxy.ReloadAsync(cancellationToken).ConfigureAwait(false));

    private ConsoleReply Kill(int session) =>
        backend.Proxy.Kill(session) ? ConsoleReply.Done("KILL") : throw ConsoleErrors.Undefined($"session {session}", "SHOW SESSIONS lists the sessions.");

    private async ValueTask<ConsoleReply> ShardAsync(ShardTableStatement s, CancellationToken cancellationToken)
    {
        var request = new ShardTableRequest(s.Table, s.Method, s.KeyColumns, s.ColocateWith, s.Wait);
        return Reply("SHARD TABLE", s.Wait, await backend.Operations.ShardTableAsync(request, cancellationToken).ConfigureAwait(false));
    }

    private async ValueTask<ConsoleReply> UnshardAsync(UnshardTableStatement s, CancellationToken cancellationToken) =>
        Reply("UNSHARD TABLE", s.Wait, await backend.Operations.UnshardTableAsync(s.Table, s.Wait, cancellationToken).ConfigureAwait(false));

    private async ValueTask<ConsoleReply> ReplicateAsync(ReplicateTableStatement s, CancellationToken cancellationToken) =>
        Reply("REPLICATE TABLE", s.Wait, await backend.Operations.ReplicateTableAsync(s.Table, s.Wait, cancellationToken).ConfigureAwait(false));

    private async ValueTask<ConsoleReply> SplitAsync(SplitRangeStatement s, CancellationToken cancellationToken)
    {
        var range = Range(s.RangeId);
        if (backend.Topology.Current.Group(range.GroupId).Method == ShardingMethod.Range)
        {
            return Reply("SPLIT RANGE", wait: true, await backend.Operations.SplitRangeAtKeyAsync(s.RangeId, s.At, cancellationToken).ConfigureAwait(false));
        }

        if (s.At.Length != 1 || !long.TryParse(s.At[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var at))
        {
            throw ConsoleErrors.InvalidValue(
                "the bound of a hash range is a signed 64-bit integer", "Write a hash between the range's from and to, as SHOW RANGES lists them.", s.AtPosition);
        }

        if (at <= range.From || (range.To is { } to && at >= to))
        {
            throw ConsoleErrors.InvalidValue(
                $"the bound does not lie inside range {range.Id}", "It must be above the range's from and below its to; SHOW RANGES lists them.", s.AtPosition);
        }

        return Reply("SPLIT RANGE", wait: true, await backend.Operations.SplitRangeAsync(s.RangeId, at, cancellationToken).ConfigureAwait(false));
    }

    private async ValueTask<ConsoleReply> MergeAsync(MergeRangesStatement s, CancellationToken cancellationToken)
    {
        Range(s.FirstId);
        Range(s.SecondId);
        return Reply("MERGE RANGES", wait: true, await backend.Operations.MergeRangesAsync(s.FirstId, s.SecondId, cancellationToken).ConfigureAwait(false));
    }

    // libpq takes a tag that begins with MOVE for the cursor command and looks for a row count in it.
    private const string MovedTag = "RANGE MOVE";

    private async ValueTask<ConsoleReply> MoveAsync(MoveRangeStatement s, CancellationToken cancellationToken)
    {
        Range(s.RangeId);
        if (backend.Topology.Current.FindNode(s.Node) is null)
        {
            throw ConsoleErrors.Undefined($"node \"{s.Node}\"", "SHOW NODES lists the nodes.");
        }

        return Reply(MovedTag, s.Wait, await backend.Operations.MoveRangeAsync(s.RangeId, s.Node, s.Wait, cancellationToken).ConfigureAwait(false));
    }

    private async ValueTask<ConsoleReply> RollbackAsync(RollbackMigrationStatement s, CancellationToken cancellationToken)
    {
        Migration(s.MigrationId);
        return Reply("ROLLBACK MIGRATION", s.Wait, await backend.Operations.RollbackMigrationAsync(s.MigrationId, s.Wait, cancellationToken).ConfigureAwait(false));
    }

    private void Migration(int id)
    {
        if (!backend.Migrations.Migrations().Any(m => m.Id == id))
        {
            throw ConsoleErrors.Undefined($"migration {id}", "SHOW MIGRATIONS lists the migrations.");
        }
    }

    private async ValueTask<ConsoleReply> CancelAsync(CancelMigrationStatement s, CancellationToken cancellationToken)
    {
        Migration(s.MigrationId);
        return Reply("CANCEL MIGRATION", wait: true, await backend.Operations.CancelMigrationAsync(s.MigrationId, cancellationToken).ConfigureAwait(false));
    }

    private async ValueTask<ConsoleReply> SetModeAsync(SetPlannerModeStatement s, CancellationToken cancellationToken)
    {
        if (s.Group is { } group && !backend.Topology.Current.Groups.Any(g => string.Equals(g.Name, group, StringComparison.Ordinal)))
        {
            throw ConsoleErrors.Undefined($"table group \"{group}\"", "SHOW GROUPS lists the groups.");
        }

        await backend.Planner.SetModeAsync(s.Mode, s.Group, cancellationToken).ConfigureAwait(false);
        return ConsoleReply.Done("SET PLANNER MODE");
    }

    private async ValueTask<ConsoleReply> ApproveAsync(ApprovePlanStatement s, CancellationToken cancellationToken)
    {
        await backend.Planner.ApprovePlanAsync(s.PlanId, cancellationToken).ConfigureAwait(false);
        return ConsoleReply.Done("APPROVE PLAN");
    }

    private ShardRange Range(int rangeId) =>
        backend.Topology.Current.FindRange(rangeId) ?? throw ConsoleErrors.Undefined($"range {rangeId}", "SHOW RANGES lists the ranges.");

    /// <summary>NOWAIT answers with the id of the migration that is now under way.</summary>
    private static ConsoleReply Reply(string tag, bool wait, OperationOutcome outcome) =>
        wait || outcome.MigrationId is not { } migration
            ? ConsoleReply.Done(tag, outcome.Notices)
            : ViewText.Reply(new ViewTable([ViewTable.Integer("migration")], [TopologyViews.Row(migration)])) with { CommandTag = tag, Notices = outcome.Notices };
}
