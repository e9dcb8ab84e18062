namespace ShardProxy.Catalog.Stores;

/// <summary>One value of the catalog with its version.</summary>
/// <param name="Key">Slash-separated key, such as <c>migration/00000017</c>.</param>
/// <param name="Value">UTF-8 JSON. Owned by the receiver, never changed by the store.</param>
/// <param name="Version">1 for the first write of a key; every write adds one.</param>
public sealed record CatalogEntry(string Key, ReadOnlyMemory<byte> Value, long Version);
