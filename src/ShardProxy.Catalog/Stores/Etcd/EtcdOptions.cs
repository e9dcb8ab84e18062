using System.Collections.Immutable;
using System.Security.Cryptography.X509Certificates;

namespace ShardProxy.Catalog.Stores.Etcd;

/// <summary>Where an etcd cluster is and how to log in to it.</summary>
public sealed record EtcdOptions
{
    /// <summary>Client addresses of its members, <c>http</c> or <c>https</c>; the first that answers is used.</summary>
    public required ImmutableArray<Uri> Endpoints { get; init; }

    /// <summary>What all keys begin with; clusters of ShardProxy that share an etcd have different ones.</summary>
    public string Prefix { get; init; } = "/shardproxy";

    /// <summary>User of etcd's own authentication; null without.</summary>
    public string? User { get; init; }

    /// <summary>The user's password.</summary>
    public string? Password { get; init; }

    /// <summary>Certificates that are trusted instead of the system's; null for the system's.</summary>
    public X509Certificate2Collection? TrustedRoots { get; init; }

    /// <summary>Certificate and key by which etcd knows this client; null without.</summary>
    public X509Certificate2? ClientCertificate { get; init; }

    /// <summary>One request, on one member.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>A watch that has said nothing for so long is set up again: its member may be gone without a word.</summary>
    public TimeSpan WatchSilence { get; init; } = TimeSpan.FromSeconds(20);
}
