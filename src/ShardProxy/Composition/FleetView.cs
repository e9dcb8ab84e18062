using System.Collections.Immutable;
using ShardProxy.Admin.Backend;
using ShardProxy.Control;

namespace ShardProxy.Composition;

/// <summary>The proxies that share the catalog as the admin side shows them.</summary>
internal sealed class FleetView(ControlPlane control) : IFleetView
{
    public ImmutableArray<ProxySnapshot> Proxies() => [.. control.Proxies().Select(p => new ProxySnapshot(p.Id, p.Address, p.IsThis, p.IsLeading, p.State, p.Epoch, p.Silence.TotalSeconds))];
}
