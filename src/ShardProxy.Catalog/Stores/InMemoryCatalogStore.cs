using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace ShardProxy.Catalog.Stores;

/// <summary>The catalog in this process's memory: for unit tests and for trying things out. Nothing survives the process.</summary>
public sealed class InMemoryCatalogStore(TimeProvider time) : ICatalogStore
{
    private const int WatchBacklog = 1024;
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, CatalogEntry> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, CatalogLease> _leases = new(StringComparer.Ordinal);
    private readonly List<(string Prefix, Channel<string> Channel)> _watchers = [];
    private long _lastToken;

    public ValueTask InitializeAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask<CatalogEntry?> GetAsync(string key, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return ValueTask.FromResult(_entries.GetValueOrDefault(key));
        }
    }

    public ValueTask<ImmutableArray<CatalogEntry>> ListAsync(string prefix, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return ValueTask.FromResult(_entries.Values.Where(e => e.Key.StartsWith(prefix, StringComparison.Ordinal)).ToImmutableArray());
        }
    }

    public ValueTask<long?> CompareAndSetAsync(string key, long expectedVersion, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if ((_entries.GetValueOrDefault(key)?.Version ?? 0) != expectedVersion)
            {
                return ValueTask.FromResult<long?>(null);
            }

            _entries[key] = new CatalogEntry(key, value.ToArray(), expectedVersion + 1);
            Notify(key);
            return ValueTask.FromResult<long?>(expectedVersion + 1);
        }
    }

    public ValueTask<bool> RemoveAsync(string key, long expectedVersion, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_entries.GetValueOrDefault(key)?.Version != expectedVersion)
            {
                return ValueTask.FromResult(false);
            }

            _entries.Remove(key);
            Notify(key);
            return ValueTask.FromResult(true);
        }
    }

    public async IAsyncEnumerable<string> WatchAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var channel = Channel.CreateBounded<string>(new BoundedChannelOptions(WatchBacklog) { FullMode = BoundedChannelFullMode.DropOldest });
        lock (_lock)
        {
            _watchers.Add((prefix, channel));
        }

        try
        {
            yield return "";
            await foreach (var key in channel.Reader.ReadAllAsync(cancellationToken))
            {
                yield return key;
            }
        }
        finally
        {
            lock (_lock)
            {
                _watchers.RemoveAll(w => w.Channel == channel);
            }
        }
    }

    public ValueTask<CatalogLease?> TryAcquireLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            var held = _leases.GetValueOrDefault(name);
            var isMine = held is not null && held.ExpiresAt > now && string.Equals(held.Owner, owner, StringComparison.Ordinal);
            if (held is not null && held.ExpiresAt > now && !isMine)
            {
                return ValueTask.FromResult<CatalogLease?>(null);
            }

            var lease = new CatalogLease(name, owner, isMine ? held!.FencingToken : ++_lastToken, now + duration);
            _leases[name] = lease;
            return ValueTask.FromResult<CatalogLease?>(lease);
        }
    }

    public ValueTask ReleaseLeaseAsync(CatalogLease lease, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_leases.GetValueOrDefault(lease.Name)?.FencingToken == lease.FencingToken)
            {
                _leases.Remove(lease.Name);
            }

            return ValueTask.CompletedTask;
        }
    }

    public ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            foreach (var (_, channel) in _watchers)
            {
                channel.Writer.TryComplete();
            }

            return ValueTask.CompletedTask;
        }
    }

    private void Notify(string key)
    {
        foreach (var (prefix, channel) in _watchers)
        {
            if (key.StartsWith(prefix, StringComparison.Ordinal))
            {
                channel.Writer.TryWrite(key);
            }
        }
    }
}
