using System.Collections.Frozen;
using Microsoft.Extensions.Logging;
using Npgsql;
using ShardProxy.Admin.Backend;
using ShardProxy.Model.Routing;

namespace ShardProxy.Composition;

/// <summary>Range sizes for the planner, which must not wait: read in the background, served from memory.</summary>
internal sealed partial class RangeBytesCache(RangeSizeEstimator estimator, ILogger<RangeBytesCache> logger)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private FrozenDictionary<int, RangeSize> _sizes = FrozenDictionary<int, RangeSize>.Empty;

    /// <summary>Bytes of a range; 0 when not known yet.</summary>
    public long BytesOf(ShardRange range) => Volatile.Read(ref _sizes).TryGetValue(range.Id, out var size) ? size.Bytes : 0;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval);
        do
        {
            try
            {
                Volatile.Write(ref _sizes, await estimator.SizesAsync(cancellationToken));
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException)
            {
                Log.ReadFailed(logger, e);
            }
        }
        while (await timer.WaitForNextTickAsync(cancellationToken));
    }

    private static partial class Log
    {
        [LoggerMessage(7102, LogLevel.Warning, "Range sizes could not be read; the last known ones are used")]
        public static partial void ReadFailed(ILogger logger, Exception exception);
    }
}
