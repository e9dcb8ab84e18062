using System.Net;

namespace ShardProxy.Admin.Http;

/// <summary>Where the admin pages listen.</summary>
public sealed record AdminHttpOptions
{
    /// <summary>The address; loopback unless told otherwise, since the pages ask for no password.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>The port; 0 takes a free one.</summary>
    public int Port { get; init; }

    /// <summary>Most time for one answer, in milliseconds; beyond it the client gets 503.</summary>
    public int RequestTimeoutMs { get; init; } = 10_000;

    /// <summary>Most clients at a time; more are cut off.</summary>
    public int MaxConnections { get; init; } = 100;
}
