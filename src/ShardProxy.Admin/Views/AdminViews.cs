using ShardProxy.Admin.Backend;

namespace ShardProxy.Admin.Views;

/// <summary>Every view, once: the console turns them into rows, HTTP into JSON.</summary>
internal sealed class AdminViews(AdminBackend backend)
{
    public TopologyViews Topology { get; } = new(backend);

    public ControlViews Control { get; } = new(backend);

    public ProxyViews Proxy { get; } = new(backend);
}
