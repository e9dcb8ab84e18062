namespace ShardProxy.Catalog.Stores;

/// <summary>A lease somebody holds. Safety rests on <see cref="FencingToken"/>, never on the time.</summary>
/// <param name="Name">What is leased, such as <c>migrator</c>.</param>
/// <param name="Owner">Who holds it.</param>
/// <param name="FencingToken">Higher than that of every earlier holder.</param>
/// <param name="ExpiresAt">When others may take it, by the store's clock.</param>
public sealed record CatalogLease(string Name, string Owner, long FencingToken, DateTimeOffset ExpiresAt);
