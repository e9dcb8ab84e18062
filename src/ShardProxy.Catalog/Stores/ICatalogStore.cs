using System.Collections.Immutable;

namespace ShardProxy.Catalog.Stores;

/// <summary>
/// The versioned truth of the control plane: small JSON values by key, changed only by compare-and-set. Reads are linearizable.
/// Every implementation passes the same contract test.
/// </summary>
public interface ICatalogStore : IAsyncDisposable
{
    /// <summary>Makes the store usable; idempotent.</summary>
    ValueTask InitializeAsync(CancellationToken cancellationToken);

    /// <summary>The value of a key, or null.</summary>
    ValueTask<CatalogEntry?> GetAsync(string key, CancellationToken cancellationToken);

    /// <summary>Every entry whose key starts with <paramref name="prefix"/>, ordered by key (ordinal).</summary>
    ValueTask<ImmutableArray<CatalogEntry>> ListAsync(string prefix, CancellationToken cancellationToken);

    /// <summary>
    /// Sets the value when the key's version is <paramref name="expectedVersion"/> (0: the key does not exist), durably. A write whose
    /// outcome is unknown is read back before this returns; it throws only when that was not possible either.
    /// </summary>
    /// <returns>The new version, or null when the version was another.</returns>
    ValueTask<long?> CompareAndSetAsync(string key, long expectedVersion, ReadOnlyMemory<byte> value, CancellationToken cancellationToken);

    /// <summary>Removes the key when its version is <paramref name="expectedVersion"/>; false when it was another.</summary>
    ValueTask<bool> RemoveAsync(string key, long expectedVersion, CancellationToken cancellationToken);

    /// <summary>
    /// Keys that changed, from now on, until cancelled. A hint to read again: changes may be merged, and a key may be named without a
    /// change. The first item (an empty key) says that the watch is in place.
    /// </summary>
    IAsyncEnumerable<string> WatchAsync(string prefix, CancellationToken cancellationToken);

    /// <summary>Takes a free or expired lease, or renews one of the same owner (same token); null when another owner holds it.</summary>
    ValueTask<CatalogLease?> TryAcquireLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken);

    /// <summary>Gives a lease up; nothing happens when it is no longer held with that token.</summary>
    ValueTask ReleaseLeaseAsync(CatalogLease lease, CancellationToken cancellationToken);
}
