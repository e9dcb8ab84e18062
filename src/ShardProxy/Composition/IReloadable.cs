using ShardProxy.Configuration;

namespace ShardProxy.Composition;

/// <summary>A part of the proxy that takes a new configuration while it runs.</summary>
internal interface IReloadable
{
    /// <summary>Takes what it can; returns what could not be read and stays as it was, one sentence each.</summary>
    IEnumerable<string> Reload(ProxyOptions options);
}
