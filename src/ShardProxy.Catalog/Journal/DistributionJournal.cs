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

    /// <summary>Begins the entry of a table, which must have none.</summary>
    /// <exception cref="ShardProxyException">SHP-612: it has one.</exception>
    public async ValueTask<DistributionEntry> BeginAsync(DistributionRecord record, CancellationToken cancellationToken) =>
        await store.CompareAndSetAsync(KeyOf(record), 0, DistributionEntry.Write(record), cancellationToken) is { } version
            ? new DistributionEntry(store, KeyOf(record), record, version)
            : throw new ShardProxyException(CatalogErrors.TooContended());

    /// <summary>What was begun and not ended.</summary>
    public async ValueTask<ImmutableArray<DistributionEntry>> ListAsync(CancellationToken cancellationToken) =>
        [.. (await store.ListAsync(Prefix, cancellationToken)).Select(e => new DistributionEntry(store, e.Key, DistributionEntry.Read(e.Value.Span), e.Version))];

    /// <summary>The entry of that record's table as it is now, or null.</summary>
    public async ValueTask<DistributionEntry?> FindAsync(DistributionRecord record, CancellationToken cancellationToken) =>
        await store.GetAsync(KeyOf(record), cancellationToken) is { } e ? new DistributionEntry(store, e.Key, DistributionEntry.Read(e.Value.Span), e.Version) : null;

    private static string KeyOf(DistributionRecord record) => $"{Prefix}{record.Schema}/{record.Name}";
}

/// <summary>The journal entry of one table, with the version this process last saw.</summary>
public sealed class DistributionEntry(ICatalogStore store, string key, DistributionRecord record, long version)
{
    private long _version = version;

    /// <summary>The record as last written.</summary>
    public DistributionRecord Record { get; private set; } = record;

    /// <summary>Writes it durably.</summary>
    /// <exception cref="ShardProxyException">SHP-613: another control plane has taken it over; this one has to stop.</exception>
    public async ValueTask WriteAsync(DistributionRecord next, CancellationToken cancellationToken)
    {
        _version = await store.CompareAndSetAsync(key, _version, Write(next), cancellationToken) ?? throw new ShardProxyException(CatalogErrors.JournalTaken());
        Record = next;
    }

    /// <summary>Nothing is left to do. Another's entry stays.</summary>
    public async ValueTask RemoveAsync(CancellationToken cancellationToken) => await store.RemoveAsync(key, _version, cancellationToken);

    internal static byte[] Write(DistributionRecord record) => JsonSerializer.SerializeToUtf8Bytes(record, CatalogJson.Default.DistributionRecord);

    internal static DistributionRecord Read(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, CatalogJson.Default.DistributionRecord) ?? throw new ShardProxyException(CatalogErrors.Unreadable());
}
