using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using ShardProxy.Catalog.Documents;
using ShardProxy.Catalog.Stores;
using ShardProxy.Model.Errors;

namespace ShardProxy.Catalog.Journal;

/// <summary>The journal of migrations: one entry each, written before every step. One writer a migration (the lease's holder).</summary>
public sealed class MigrationJournal(ICatalogStore store)
{
    private const string Prefix = "migration/";

    /// <summary>Starts the journal of a migration; its id must be new.</summary>
    public async ValueTask<MigrationJournalEntry> CreateAsync(MigrationRecord record, CancellationToken cancellationToken)
    {
        var version = await store.CompareAndSetAsync(KeyOf(record.Id), 0, Write(record), cancellationToken);
        return version is { } v ? new MigrationJournalEntry(store, KeyOf(record.Id), record, v) : throw new ShardProxyException(CatalogErrors.TooContended());
    }

    /// <summary>Every migration in the journal, by id.</summary>
    public async ValueTask<ImmutableArray<MigrationJournalEntry>> ListAsync(CancellationToken cancellationToken) =>
        [.. (await store.ListAsync(Prefix, cancellationToken)).Select(e => new MigrationJournalEntry(store, e.Key, Read(e.Value.Span), e.Version))];

    internal static byte[] Write(MigrationRecord record) => JsonSerializer.SerializeToUtf8Bytes(record, CatalogJson.Default.MigrationRecord);

    internal static MigrationRecord Read(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, CatalogJson.Default.MigrationRecord) ?? throw new ShardProxyException(CatalogErrors.Unreadable());

    private static string KeyOf(int id) => Prefix + id.ToString("D8", CultureInfo.InvariantCulture);
}
