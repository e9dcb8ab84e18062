using ShardProxy.Catalog.Stores;
using ShardProxy.Model.Errors;

namespace ShardProxy.Catalog.Journal;

/// <summary>The journal entry of one migration, with the version this process last saw. Not for use by two tasks at once.</summary>
public sealed class MigrationJournalEntry(ICatalogStore store, string key, MigrationRecord record, long version)
{
    private long _version = version;
    private MigrationRecord _record = record;

    /// <summary>The record as last written.</summary>
    public MigrationRecord Record => Volatile.Read(ref _record);

    /// <summary>Writes the changed record durably.</summary>
    /// <exception cref="ShardProxyException">SHP-613: another control plane has written it; this one has to stop.</exception>
    public async ValueTask WriteAsync(Func<MigrationRecord, MigrationRecord> change, CancellationToken cancellationToken)
    {
        var next = change(_record);
        _version = await store.CompareAndSetAsync(key, _version, MigrationJournal.Write(next), cancellationToken)
            ?? throw new ShardProxyException(CatalogErrors.JournalTaken());
        Volatile.Write(ref _record, next);
    }
}
