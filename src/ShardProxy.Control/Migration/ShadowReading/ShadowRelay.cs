using System.Globalization;
using System.Text.Json;
using ShardProxy.Catalog.Stores;
using ShardProxy.Model.Fleet;

namespace ShardProxy.Control.Migration.ShadowReading;

/// <summary>Differences that one proxy has found, on their way to the proxy whose migration it is, through the catalog: <c>shadow/&lt;migration&gt;</c>.</summary>
internal sealed class ShadowRelay(ICatalogStore store, ShadowBoard board)
{
    private const string Prefix = "shadow/";

    /// <summary>One round: tells what was found here, and where this process leads hears what others have found. How much it heard.</summary>
    public async Task<int> RoundAsync(bool isLeading, CancellationToken cancellationToken)
    {
        while (board.TakeStray() is { } found)
        {
            if (!board.Pass(found))
            {
                var value = JsonSerializer.SerializeToUtf8Bytes(new[] { found.Shape, found.KeyHash?.ToString(CultureInfo.InvariantCulture) });
                await store.CompareAndSetAsync(Prefix + found.MigrationId.ToString(CultureInfo.InvariantCulture), 0, value, cancellationToken);
            }
        }

        var heard = 0;
        if (!isLeading || !board.HasWatches)
        {
            return heard;
        }

        foreach (var entry in await store.ListAsync(Prefix, cancellationToken))
        {
            if (int.TryParse(entry.Key.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var migration)
                && JsonSerializer.Deserialize<string?[]>(entry.Value.Span) is [{ } shape, var hash]
                && board.Pass(new ShadowDifference(migration, shape, long.TryParse(hash, CultureInfo.InvariantCulture, out var place) ? place : null)))
            {
                heard++;
            }

            // Of a migration that is over, it is of no use to anybody.
            await store.RemoveAsync(entry.Key, entry.Version, cancellationToken);
        }

        return heard;
    }
}
