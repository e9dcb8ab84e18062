using System.Net;
using System.Net.Security;

namespace ShardProxy.Admin.Http;

/// <summary>Where the admin pages listen.</summary>
public sealed record AdminHttpOptions
{
    /// <summary>The address; loopback unless told otherwise, and never anything else without a token.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>The port; 0 takes a free one.</summary>
    public int Port { get; init; }

    /// <summary>Bearer token that every page but /healthz and /readyz asks for; null for none.</summary>
    public string? Token { get; init; }

    /// <summary>The certificate of the moment; null for plain HTTP. Called for each connection.</summary>
    public Func<SslStreamCertificateContext>? Certificate { get; init; }

    /// <summary>Most time for one answer, in milliseconds; beyond it the client gets 503.</summary>
    public int RequestTimeoutMs { get; init; } = 10_000;

    /// <summary>Most clients at a time; more are cut off.</summary>
    public int MaxConnections { get; init; } = 100;
}
