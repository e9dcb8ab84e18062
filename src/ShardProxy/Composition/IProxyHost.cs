using System.Net;

namespace ShardProxy.Composition;

/// <summary>A proxy that runs in this process.</summary>
internal interface IProxyHost
{
    /// <summary>Where clients connect, with the real port.</summary>
    IPEndPoint Listen { get; }

    /// <summary>Where HTTP is answered, with the real port.</summary>
    IPEndPoint Admin { get; }

    /// <summary>Cancelled when another process has taken over: this one is to drain and stop.</summary>
    CancellationToken HandedOver => CancellationToken.None;

    /// <summary>Returns when clients can connect. On failure everything already started has been stopped.</summary>
    Task StartAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Takes no more clients and lets transactions end, as long as the configuration allows or until the token is cancelled; never throws.
    /// To be followed by <see cref="StopAsync"/>.
    /// </summary>
    Task DrainAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Stops everything within <see cref="ProxyHost.StopBudget"/>; never throws.</summary>
    Task StopAsync();
}
