using ShardProxy.Model.Keys;

namespace ShardProxy.Stress.Tests.Clients;

/// <summary>A range of the run's table group, as SHOW RANGES tells it.</summary>
/// <param name="Id">Of the range.</param>
/// <param name="From">Lowest hash.</param>
/// <param name="To">Behind the highest, or null.</param>
/// <param name="Node">Index of its owner, from 0.</param>
/// <param name="State">As shown.</param>
internal sealed record RangeOwner(int Id, long From, long? To, int Node, string State);

/// <summary>The ranges in order, and which of them a key is in.</summary>
internal sealed class RangeMap(IReadOnlyList<RangeOwner> ranges)
{
    public IReadOnlyList<RangeOwner> Ranges => ranges;

    public RangeOwner OfKey(long key)
    {
        var hash = KeyHash.Int64(key, 0);
        return ranges.First(r => hash >= r.From && (r.To is not { } to || hash < to));
    }

    public RangeOwner Of(int rangeId) => ranges.Single(r => r.Id == rangeId);
}
