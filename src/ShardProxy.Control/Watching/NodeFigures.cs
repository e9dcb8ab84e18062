namespace ShardProxy.Control.Watching;

/// <summary>What a node said of itself in the last round.</summary>
/// <param name="Node">Its name.</param>
/// <param name="Replicas">Physical replicas that stream from it.</param>
/// <param name="ReplicaLagBytes">WAL that the one furthest behind has not replayed.</param>
/// <param name="ReplicaLagSeconds">How far behind it is in time, as PostgreSQL measures it; null without traffic.</param>
/// <param name="Prepared">Prepared transactions of this project.</param>
/// <param name="OldestPreparedSeconds">Age of the oldest of them; 0 when there is none.</param>
public sealed record NodeFigures(string Node, long Replicas, long ReplicaLagBytes, double? ReplicaLagSeconds, long Prepared, double OldestPreparedSeconds);
