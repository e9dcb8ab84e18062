namespace ShardProxy.Admin.Backend;

/// <summary>
/// Everything the console, the metrics and the HTTP pages stand on. Each member is a small seam; the executable's
/// composition fills it with the control plane, the planner, the data path and the configuration.
/// </summary>
public sealed record AdminBackend
{
    public required ITopologyView Topology { get; init; }

    public required IShardingOperations Operations { get; init; }

    public required IProxyControl Proxy { get; init; }

    public required IMigrationView Migrations { get; init; }

    public required IDriftView Drift { get; init; }

    public required IFleetView Fleet { get; init; }

    /// <summary>Null where no other proxy ever leads.</summary>
    public ILeaderConsole? Leader { get; init; }

    public required IHealthView Health { get; init; }

    public required IPlannerView Planner { get; init; }

    public required Model.Views.IDataPlaneView DataPlane { get; init; }

    public required IRangeStatistics RangeStatistics { get; init; }

    public required IConfigView Config { get; init; }

    public required ProductInfo Product { get; init; }
}
