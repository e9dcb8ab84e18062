namespace ShardProxy.Planning.History;

/// <summary>What is counted as load.</summary>
public enum LoadMeasure
{
    /// <summary>Statements per second.</summary>
    Statements = 0,

    /// <summary>Seconds of server time per second, as the proxies saw it.</summary>
    BusyTime = 1,
}
