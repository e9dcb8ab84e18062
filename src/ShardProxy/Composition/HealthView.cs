using System.Collections.Immutable;
using ShardProxy.Admin.Backend;
using ShardProxy.Control;

namespace ShardProxy.Composition;

/// <summary>What the leading proxy has gathered from the nodes as the admin side shows it.</summary>
internal sealed class HealthView(ControlPlane control) : IHealthView
{
    public ImmutableArray<SlotHealth> Slots() => [.. control.Watch.LastSlots.Select(s => new SlotHealth(s.Node, s.Slot, s.IsActive, s.RetainedBytes, s.LagBytes))];

    public ImmutableArray<NodeHealth> Nodes() =>
        [.. control.Watch.LastNodes.Select(n => new NodeHealth(n.Node, n.Replicas, n.ReplicaLagBytes, n.ReplicaLagSeconds, n.Prepared, n.OldestPreparedSeconds))];

    public ImmutableArray<MigrationHealth> Moves() => [.. control.Watch.LastMigrations.Select(m => new MigrationHealth(m.Id, m.RangeId, m.State, m.IdleSeconds))];
}
