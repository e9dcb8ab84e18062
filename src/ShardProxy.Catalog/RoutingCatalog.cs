using ShardProxy.Catalog.Documents;
using ShardProxy.Catalog.Stores;
using ShardProxy.Model.Errors;

namespace ShardProxy.Catalog;

/// <summary>
/// Reads and changes the placement document. Every change goes: read, compute, compare-and-set, and again when somebody else was first;
/// each success has the next epoch.
/// </summary>
public sealed class RoutingCatalog(ICatalogStore store)
{
    /// <summary>Key of the placement document.</summary>
    public const string Key = "placement";
    private const int MaximumAttempts = 50;

    // The last state known to be current, so that a change usually needs one round trip: a stale guess only costs a second one.
    private CachedState? _last;

    /// <summary>Epoch of the state this process last saw.</summary>
    public long LastEpoch => Volatile.Read(ref _last)?.State.Epoch ?? 0;

    /// <summary>The current state, from the store; <see cref="CatalogState.Empty"/> when nothing was ever written.</summary>
    public async ValueTask<CatalogState> LoadAsync(CancellationToken cancellationToken) => (await ReadAsync(cancellationToken)).State;

    /// <summary>
    /// Applies <paramref name="change"/> to the current state. It may run several times and must be pure; returning null leaves everything
    /// as it is. It may throw <see cref="ShardProxyException"/> to refuse. The epoch is set here.
    /// </summary>
    /// <returns>The state that is now true, or null when <paramref name="change"/> returned null for the current state.</returns>
    /// <exception cref="ShardProxyException">SHP-612 after too many collisions.</exception>
    public async ValueTask<CatalogState?> TryUpdateAsync(Func<CatalogState, CatalogState?> change, CancellationToken cancellationToken)
    {
        var guess = Volatile.Read(ref _last);
        for (var attempt = 0; attempt < MaximumAttempts; attempt++)
        {
            var isFresh = guess is null;
            var current = guess ?? await ReadAsync(cancellationToken);
            guess = null;
            CatalogState? next;
            try
            {
                next = change(current.State);
            }
            catch (ShardProxyException) when (!isFresh)
            {
                continue;
            }

            if (next is null)
            {
                // A refusal must rest on the truth, not on what this process remembers.
                if (!isFresh)
                {
                    continue;
                }

                return null;
            }

            next = next with { Epoch = current.State.Epoch + 1 };
            if (await store.CompareAndSetAsync(Key, current.Version, CatalogDocuments.Write(next), cancellationToken) is { } version)
            {
                Volatile.Write(ref _last, new CachedState(next, version));
                return next;
            }
        }

        throw new ShardProxyException(CatalogErrors.TooContended());
    }

    private async ValueTask<CachedState> ReadAsync(CancellationToken cancellationToken)
    {
        var entry = await store.GetAsync(Key, cancellationToken);
        var state = entry is null ? new CachedState(CatalogState.Empty, 0) : new CachedState(CatalogDocuments.Read(entry.Value.Span), entry.Version);
        Volatile.Write(ref _last, state);
        return state;
    }

    private sealed record CachedState(CatalogState State, long Version);
}
