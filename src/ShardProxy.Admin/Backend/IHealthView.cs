using System.Collections.Immutable;

namespace ShardProxy.Admin.Backend;

/// <summary>Figures that the leading proxy gathers in rounds of its own; empty on the others. Asking costs no query.</summary>
public interface IHealthView
{
    /// <summary>Slots of migrations, by node.</summary>
    ImmutableArray<SlotHealth> Slots();

    /// <summary>Nodes that answered in the last round.</summary>
    ImmutableArray<NodeHealth> Nodes();

    /// <summary>Migrations under way.</summary>
    ImmutableArray<MigrationHealth> Moves();
}

/// <summary>A migration's replication slot; sizes in bytes of WAL.</summary>
public sealed record SlotHealth(string Node, string Slot, bool IsActive, long RetainedBytes, long LagBytes);

/// <summary>A node's replicas and prepared transactions of this project. <paramref name="ReplicaLagSeconds"/> is null while nobody measures it.</summary>
public sealed record NodeHealth(string Node, long Replicas, long ReplicaLagBytes, double? ReplicaLagSeconds, long Prepared, double OldestPreparedSeconds);

/// <summary>A migration under way, its state as in SHOW MIGRATIONS, and for how long nothing of it has changed.</summary>
public sealed record MigrationHealth(int Id, int RangeId, string State, double IdleSeconds);
