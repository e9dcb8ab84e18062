namespace ShardProxy.Control.Fleet;

/// <summary>One proxy of those that share the catalog, for people.</summary>
/// <param name="Id">As configured.</param>
/// <param name="Address">Where clients connect.</param>
/// <param name="IsThis">This process.</param>
/// <param name="IsLeading">It moves ranges and places tables.</param>
/// <param name="State"><c>serving</c>, <c>silent</c>, <c>expelled</c> or <c>barred</c>.</param>
/// <param name="Epoch">It routes by this epoch's table.</param>
/// <param name="Silence">Since it was last heard of.</param>
public sealed record ProxyStatus(string Id, string Address, bool IsThis, bool IsLeading, string State, long Epoch, TimeSpan Silence);
