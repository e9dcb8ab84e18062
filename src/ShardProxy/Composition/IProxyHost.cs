using System.Net;

namespace ShardProxy.Composition;

/// <summary>A proxy that runs in this process.</summary>
internal interface IProxyHost
{
    /// <summary>Where clients connect, with the real port.</summary>
    IPEndPoint Listen { get; }

    /// <summary>Where HTTP is answered, with the real port.</summary>
    IPEndPoint Admin { get; }

    /// <summary>Returns when clients can connect. On failure everything already started has been stopped.</summary>
    Task StartAsync(CancellationToken cancellationToken);

    /// <summary>Stops everything within <see cref="ProxyHost.StopBudget"/>; never throws.</summary>
    Task StopAsync();
}
