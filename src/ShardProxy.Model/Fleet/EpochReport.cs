namespace ShardProxy.Model.Fleet;

/// <summary>One proxy's answer to a published routing table.</summary>
/// <param name="ProxyId">The proxy, as in <c>application_name = shardproxy/&lt;id&gt;</c>.</param>
/// <param name="Epoch">The epoch the report is about.</param>
/// <param name="IsDrained">Nothing that the scope names is left.</param>
/// <param name="Blockers">How many sessions were still in the way at the deadline.</param>
/// <param name="OldestBlockerMs">Age of the oldest of them in milliseconds; 0 when drained.</param>
public sealed record EpochReport(string ProxyId, long Epoch, bool IsDrained, int Blockers, long OldestBlockerMs);
