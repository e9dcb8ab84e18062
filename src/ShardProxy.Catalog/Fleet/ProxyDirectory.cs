using System.Collections.Immutable;
using System.Text.Json;
using ShardProxy.Catalog.Documents;
using ShardProxy.Catalog.Stores;
using ShardProxy.Model.Errors;

namespace ShardProxy.Catalog.Fleet;

/// <summary>The proxies' documents.</summary>
public sealed class ProxyDirectory(ICatalogStore store)
{
    /// <summary>Their keys begin with it.</summary>
    public const string Prefix = "proxy/";

    /// <summary>Every proxy's, with its version.</summary>
    public async ValueTask<ImmutableArray<(ProxyRecord Record, long Version)>> ListAsync(CancellationToken cancellationToken) =>
        [.. (await store.ListAsync(Prefix, cancellationToken)).Select(e => (Read(e.Value.Span), e.Version))];

    /// <summary>One proxy's, or null.</summary>
    public async ValueTask<(ProxyRecord Record, long Version)?> FindAsync(string proxyId, CancellationToken cancellationToken) =>
        await store.GetAsync(Prefix + proxyId, cancellationToken) is { } entry ? (Read(entry.Value.Span), entry.Version) : null;

    /// <summary>Writes one over the version it replaces (0: there is none); null when it was another.</summary>
    public ValueTask<long?> TryWriteAsync(ProxyRecord record, long version, CancellationToken cancellationToken) =>
        store.CompareAndSetAsync(Prefix + record.Id, version, JsonSerializer.SerializeToUtf8Bytes(record, CatalogJson.Default.ProxyRecord), cancellationToken);

    /// <summary>Takes one away.</summary>
    public ValueTask<bool> TryRemoveAsync(string proxyId, long version, CancellationToken cancellationToken) => store.RemoveAsync(Prefix + proxyId, version, cancellationToken);

    /// <summary>Names of proxies whose documents changed; first, and behind every gap, an empty one.</summary>
    public async IAsyncEnumerable<string> WatchAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var key in store.WatchAsync(Prefix, cancellationToken))
        {
            yield return key.Length == 0 ? "" : key[Prefix.Length..];
        }
    }

    private static ProxyRecord Read(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, CatalogJson.Default.ProxyRecord) ?? throw new ShardProxyException(CatalogErrors.Unreadable());
}
