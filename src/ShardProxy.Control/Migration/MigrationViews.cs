using System.Collections.Immutable;
using ShardProxy.Catalog.Journal;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration;

/// <summary>Migrations as SHOW MIGRATIONS tells them.</summary>
internal static class MigrationViews
{
    /// <summary>One line, with the names of the given nodes.</summary>
    public static MigrationView Of(MigrationJob job, ImmutableArray<Node> nodes, TimeProvider time)
    {
        var record = job.Record;
        var isOver = record.IsOver || record.State == MigrationState.Reversible;
        var progress = isOver ? null : job.Context?.Progress;
        return new MigrationView(
            record.Id,
            record.GroupName,
            record.RangeId,
            Name(record.SourceNodeId),
            Name(record.TargetNodeId),
            StateName(record.State),
            progress?.RowsDone ?? record.RowsDone,
            progress?.RowsTotal ?? record.RowsTotal,
            record.State == MigrationState.Copying ? progress?.EtaSeconds(time) : isOver ? null : 0,
            progress?.RowsVerified ?? record.RowsVerified,
            record.StallMs,
            record.Error,
            isOver,
            record.CreatedAt,
            record.UpdatedAt);

        string Name(int id) => nodes.FirstOrDefault(n => n.Id == id)?.Name ?? $"#{id}";
    }

    /// <summary>As DESIGN section 10 lists the states.</summary>
    public static string StateName(MigrationState state) => state switch
    {
        MigrationState.Queued or MigrationState.Preparing => "preparing",
        MigrationState.Copying => "copying",
        MigrationState.CatchingUp => "catching_up",
        MigrationState.Verifying => "verifying",
        MigrationState.CuttingOver or MigrationState.CleaningUp => "cutting_over",
        MigrationState.Done or MigrationState.Reversible => "done",
        MigrationState.RolledBack => "rolled_back",
        MigrationState.Cancelled => "cancelled",
        _ => "failed",
    };
}
