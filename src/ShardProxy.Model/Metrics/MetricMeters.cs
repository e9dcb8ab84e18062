namespace ShardProxy.Model.Metrics;

/// <summary>Names of the meters. Only instruments on these are exposed.</summary>
public static class MetricMeters
{
    /// <summary>The data path's own counters: requests, pool waits, shapes, holds.</summary>
    public const string DataPath = "ShardProxy.DataPath";

    /// <summary>What the admin side reads from its views: sessions, pools, load, forecasts, migrations, topology.</summary>
    public const string Admin = "ShardProxy.Admin";

    /// <summary>This process.</summary>
    public const string Process = "ShardProxy.Process";
}
