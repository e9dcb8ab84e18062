namespace ShardProxy.TestKit.Clusters;

/// <summary>How <see cref="ProxyProcess"/> starts <c>shardproxy dev</c> or, with a configuration file, <c>shardproxy serve</c>.</summary>
public sealed record ProxyProcessOptions
{
    public int Nodes { get; init; } = 3;

    public string User { get; init; } = TestCluster.User;

    public string Password { get; init; } = TestCluster.Password;

    public string Database { get; init; } = TestCluster.Database;

    /// <summary>Seconds for which a moved range may go back by one cutover; 0: the source is clean when MOVE returns.</summary>
    public int RollbackWindowSeconds { get; init; }

    /// <summary>Data directory to keep; null for one that <c>dev</c> makes and removes.</summary>
    public string? DataDirectory { get; init; }

    /// <summary>Configuration file: <c>serve</c> instead of <c>dev</c>. Its nodes, user and database are the file's, not those above.</summary>
    public string? ConfigFile { get; init; }

    /// <summary>With <c>serve</c>, which prints no addresses: where <c>proxy</c>, <c>console</c> and <c>http</c> are.</summary>
    public IReadOnlyDictionary<string, Uri> Addresses { get; init; } = new Dictionary<string, Uri>();

    /// <summary>More arguments, at the end of the command line.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>More environment variables.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>How long until it must be ready.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromSeconds(90);
}
