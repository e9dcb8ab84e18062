namespace ShardProxy.LocalCluster;

/// <summary>What kind of local cluster to start.</summary>
public sealed record LocalClusterOptions
{
    /// <summary>How many servers; they are named node1, node2, ….</summary>
    public int Nodes { get; init; } = 3;

    /// <summary>Superuser of every node.</summary>
    public string User { get; init; } = "postgres";

    /// <summary>The superuser's password (SCRAM). Never logged; handed to the server programs on standard input or by a private file.</summary>
    public string Password { get; init; } = "postgres";

    /// <summary>Databases that exist on every node.</summary>
    public IReadOnlyList<string> Databases { get; init; } = ["postgres"];

    /// <summary>
    /// Where the data directories live: kept at the end and used again by the next start. Null for a temporary directory that
    /// is removed at the end, also when this process is killed.
    /// </summary>
    public string? Directory { get; init; }

    /// <summary><c>max_connections</c> of every node.</summary>
    public int MaxConnections { get; init; } = 300;

    /// <summary><c>shared_buffers</c> of every node in megabytes.</summary>
    public int SharedBuffersMegabytes { get; init; } = 64;

    /// <summary>Further server settings by name; they come last, so they win.</summary>
    public IReadOnlyDictionary<string, string> ServerSettings { get; init; } = new Dictionary<string, string>();

    /// <summary>The server programs, or null to look for them.</summary>
    public ServerBinaries? Binaries { get; init; }

    /// <summary>How long one node may take to come up.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Where a line of progress goes, or null. May be called from any thread.</summary>
    public Action<string>? Output { get; init; }

    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;
}
