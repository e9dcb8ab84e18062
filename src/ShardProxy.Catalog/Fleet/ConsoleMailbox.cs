using System.Collections.Immutable;
using System.Text.Json;
using ShardProxy.Catalog.Documents;
using ShardProxy.Catalog.Stores;
using ShardProxy.Model.Errors;

namespace ShardProxy.Catalog.Fleet;

/// <summary>Console statements between proxies.</summary>
public sealed class ConsoleMailbox(ICatalogStore store)
{
    private const string Prefix = "console/";

    /// <summary>All that are under way, with their versions.</summary>
    public async ValueTask<ImmutableArray<(string Id, ConsoleRequest Request, long Version)>> ListAsync(CancellationToken cancellationToken) =>
        [.. (await store.ListAsync(Prefix, cancellationToken)).Select(e => (e.Key[Prefix.Length..], Read(e.Value.Span), e.Version))];

    /// <summary>One, or null.</summary>
    public async ValueTask<(ConsoleRequest Request, long Version)?> FindAsync(string id, CancellationToken cancellationToken) =>
        await store.GetAsync(Prefix + id, cancellationToken) is { } entry ? (Read(entry.Value.Span), entry.Version) : null;

    /// <summary>Writes one over the version it replaces (0: there is none); false when it was another.</summary>
    public async ValueTask<bool> TryWriteAsync(string id, ConsoleRequest request, long version, CancellationToken cancellationToken) =>
        await store.CompareAndSetAsync(Prefix + id, version, JsonSerializer.SerializeToUtf8Bytes(request, CatalogJson.Default.ConsoleRequest), cancellationToken) is not null;

    /// <summary>Takes one away; false when its version was another.</summary>
    public ValueTask<bool> TryRemoveAsync(string id, long version, CancellationToken cancellationToken) => store.RemoveAsync(Prefix + id, version, cancellationToken);

    /// <summary>Says that something may have changed; first when the watch is in place.</summary>
    public IAsyncEnumerable<string> WatchAsync(CancellationToken cancellationToken) => store.WatchAsync(Prefix, cancellationToken);

    private static ConsoleRequest Read(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, CatalogJson.Default.ConsoleRequest) ?? throw new ShardProxyException(CatalogErrors.Unreadable());
}
