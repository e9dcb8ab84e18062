namespace ShardProxy.Control.Watching;

/// <summary>One replication slot of a migration on a node.</summary>
/// <param name="Node">The node that keeps WAL for it.</param>
/// <param name="Slot">Its name, which holds the migration's id.</param>
/// <param name="IsActive">Somebody reads from it.</param>
/// <param name="RetainedBytes">WAL that the node keeps because of it.</param>
/// <param name="LagBytes">WAL that whoever reads it has not applied yet.</param>
public sealed record SlotFigures(string Node, string Slot, bool IsActive, long RetainedBytes, long LagBytes);
