namespace ShardProxy.DataPath.Routing;

/// <summary>What a barrier waits for: see <see cref="Model.Fleet.DrainScope"/>.</summary>
/// <param name="Epoch">The published epoch.</param>
/// <param name="EarlierStatements">Statements begun on an earlier epoch must have ended.</param>
/// <param name="Ranges">(range id, group id): open transactions that touched one of them must have ended.</param>
internal sealed record BarrierQuery(long Epoch, bool EarlierStatements, (int RangeId, int GroupId)[] Ranges);
