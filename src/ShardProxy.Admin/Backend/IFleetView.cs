using System.Collections.Immutable;

namespace ShardProxy.Admin.Backend;

/// <summary>The proxies that share the catalog, this one among them.</summary>
public interface IFleetView
{
    /// <summary>Ordered by id.</summary>
    ImmutableArray<ProxySnapshot> Proxies();
}

/// <summary>One proxy as this one knows it.</summary>
/// <param name="Id">As configured.</param>
/// <param name="Address">Where clients connect.</param>
/// <param name="IsThis">It is the one that was asked.</param>
/// <param name="IsLeading">It moves ranges and places tables; null where that is not known.</param>
/// <param name="State"><c>serving</c>, <c>silent</c>, <c>expelled</c> or <c>barred</c>.</param>
/// <param name="Epoch">It routes by this epoch's table.</param>
/// <param name="SilentSeconds">Since it was last heard of.</param>
public sealed record ProxySnapshot(string Id, string Address, bool IsThis, bool IsLeading, string State, long Epoch, double SilentSeconds);
