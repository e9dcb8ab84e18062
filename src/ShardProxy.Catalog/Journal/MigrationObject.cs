namespace ShardProxy.Catalog.Journal;

/// <summary>What kind of thing a migration put on a node. Stored by name.</summary>
public enum MigrationObjectKind
{
    /// <summary>Closed-flag sequence; <see cref="MigrationObject.Name"/> is its qualified, quoted name.</summary>
    GateSequence,

    /// <summary>All gate triggers on one table; the name is the table's.</summary>
    GateTriggers,

    /// <summary>REPLICA IDENTITY FULL for the duration; the detail is the SQL clause that restores the old one.</summary>
    ReplicaIdentity,
    Publication,
    ReplicationSlot,
    Subscription,

    /// <summary>Rows of the range on this node while it does not own it.</summary>
    GhostRows,

    /// <summary>Marker rows of the migration.</summary>
    Markers,

    /// <summary>A secondary index that is not there while rows are copied; the detail is its definition.</summary>
    DeferredIndex,
}

/// <summary>One object, listed before it is created, so that whoever finds the journal knows all there may be.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="NodeId">Where.</param>
/// <param name="Name">Its name, ready to be used in SQL where it is an identifier.</param>
/// <param name="Detail">Depends on the kind.</param>
public sealed record MigrationObject(MigrationObjectKind Kind, int NodeId, string Name, string? Detail = null);
