using System.Collections.Frozen;

namespace ShardProxy.Admin.Backend;

/// <summary>Estimated sizes of ranges.</summary>
public interface IRangeStatistics
{
    /// <summary>Sizes by range id; a range nothing is known about is missing. May be some seconds old.</summary>
    ValueTask<FrozenDictionary<int, RangeSize>> SizesAsync(CancellationToken cancellationToken);
}
