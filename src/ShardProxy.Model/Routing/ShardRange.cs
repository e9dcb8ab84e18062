namespace ShardProxy.Model.Routing;

/// <summary>
/// A half-open interval [<see cref="From"/>, <see cref="To"/>) of one group's key space, owned by one node. For HASH groups the
/// bounds are signed 64-bit hash values, for RANGE groups positions of the group's <see cref="KeyScale"/>; the first range starts at
/// <see cref="long.MinValue"/>, the last has no upper bound.
/// </summary>
/// <param name="Id">Integer, never reused; kept by a move, a split keeps it for the lower half.</param>
/// <param name="GroupId">The table group.</param>
/// <param name="From">Inclusive lower bound.</param>
/// <param name="To">Exclusive upper bound, or null for the last range of the group.</param>
/// <param name="NodeId">The owner.</param>
public sealed record ShardRange(int Id, int GroupId, long From, long? To, int NodeId)
{
    /// <summary>True when <paramref name="hash"/> lies in the range.</summary>
    public bool Contains(long hash) => hash >= From && (To is not { } to || hash < to);
}
