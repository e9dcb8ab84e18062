using System.Collections.Immutable;
using ShardProxy.Admin.Backend;
using ShardProxy.Control;

namespace ShardProxy.Composition;

/// <summary>The migrations as the admin side shows them.</summary>
internal sealed class MigrationsView(ControlPlane control, TopologyView topology) : IMigrationView
{
    public ImmutableArray<MigrationSnapshot> Migrations()
    {
        var table = topology.Current;
        return
        [
            .. control.ListMigrations(table.Nodes).Select(m => new MigrationSnapshot(
                m.Id,
                m.Group,
                m.RangeId,
                table.FindNode(m.Source)?.Id ?? 0,
                table.FindNode(m.Target)?.Id,
                StateOf(m.State),
                m.RowsDone,
                m.RowsTotal,
                m.EtaSeconds,
                m.RowsVerified,
                m.StallMs,
                m.Error)),
        ];
    }

    private static MigrationState StateOf(string word) => word switch
    {
        "preparing" => MigrationState.Preparing,
        "copying" => MigrationState.Copying,
        "catching_up" => MigrationState.CatchingUp,
        "verifying" => MigrationState.Verifying,
        "cutting_over" => MigrationState.CuttingOver,
        "done" => MigrationState.Done,
        "rolled_back" => MigrationState.RolledBack,
        "cancelled" => MigrationState.Cancelled,
        _ => MigrationState.Failed,
    };
}
