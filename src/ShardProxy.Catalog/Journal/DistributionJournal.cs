using System.Collections.Immutable;
using System.Text.Json;
using ShardProxy.Catalog.Documents;
using ShardProxy.Catalog.Stores;
using ShardProxy.Model.Errors;

namespace ShardProxy.Catalog.Journal;

/// <summary>The journal of tables being distributed.</summary>
public sealed class DistributionJournal(ICatalogStore store)
{
    private const string Prefix = "distribution/";

    /// <summary>Begins or continues the entry of a table.</summary>
    public async ValueTask WriteAsync(DistributionRecord record, CancellationToken cancellationToken)
    {
        var key = KeyOf(record);
        var version = (await store.GetAsync(key, cancellationToken))?.Version ?? 0;
        var json = JsonSerializer.SerializeToUtf8Bytes(record, CatalogJson.Default.DistributionRecord);
        if (await store.CompareAndSetAsync(key, version, json, cancellationToken) is null)
        {
            throw new ShardProxyException(CatalogErrors.TooContended());
        }
    }

    /// <summary>Nothing is left to do.</summary>
    public async ValueTask RemoveAsync(DistributionRecord record, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(KeyOf(record), cancellationToken) is { } entry)
        {
            await store.RemoveAsync(entry.Key, entry.Version, cancellationToken);
        }
    }

    /// <summary>What was begun and not ended.</summary>
    public async ValueTask<ImmutableArray<DistributionRecord>> ListAsync(CancellationToken cancellationToken) =>
    [
        .. (await store.ListAsync(Prefix, cancellationToken)).Select(e =>
            JsonSerializer.Deserialize(e.Value.Span, CatalogJson.Default.DistributionRecord) ?? throw new ShardProxyException(CatalogErrors.Unreadable())),
    ];

    private static string KeyOf(DistributionRecord record) => $"{Prefix}{record.Schema}/{record.Name}";
}
