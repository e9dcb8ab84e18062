using ShardProxy.LocalCluster.Processes;
using ShardProxy.LocalCluster.Servers;

namespace ShardProxy.LocalCluster;

/// <summary>
/// Several real PostgreSQL servers on this machine, started together and ended together: by <see cref="DisposeAsync"/>, and by
/// themselves when this process dies. No system service and no default cluster is touched.
/// </summary>
public sealed class LocalServerCluster : IAsyncDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly string? _temporaryDirectory;

    private LocalServerCluster(IReadOnlyList<LocalServer> servers, string? temporaryDirectory)
    {
        Servers = servers;
        _temporaryDirectory = temporaryDirectory;
    }

    /// <summary>The servers in order; the first is the home node.</summary>
    public IReadOnlyList<LocalServer> Servers { get; }

    /// <summary>
    /// Starts the servers in parallel and returns when all accept connections. On failure or cancellation nothing is left
    /// running and a temporary directory is removed.
    /// </summary>
    /// <exception cref="Model.Errors.ShardProxyException">SHP-701, SHP-703 to SHP-708.</exception>
    public static async Task<LocalServerCluster> StartAsync(LocalClusterOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Nodes, 1);
        var binaries = options.Binaries ?? await Prerequisites.RequireServerAsync(cancellationToken);
        var account = ServerAccount.Resolve();
        var root = options.Directory is { } kept ? Path.GetFullPath(kept) : Directory.CreateTempSubdirectory("shardproxy-").FullName;
        var cluster = new LocalServerCluster(
            CreateServers(root, binaries, account, options), options.Directory is null ? root : null);
        try
        {
            if (!Directory.Exists(root))
            {
                Directory.CreateDirectory(root, OwnerOnly);
            }

            // A directory that already holds other things is not ours to give away; an empty one is.
            if (!Directory.EnumerateFileSystemEntries(root).Any())
            {
                account.TakeOver(root);
            }

            await account.CheckWritableAsync(root, cancellationToken);
            options.Output?.Invoke($"starting {options.Nodes} PostgreSQL {binaries.MajorVersion} server(s) from {binaries.Directory} in {root}");
            await Task.WhenAll(cluster.Servers.Select(server => server.CreateAsync(cancellationToken)));
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Stops all servers at once, within two seconds, and removes a temporary directory. Servers of a temporary directory are
    /// stopped without a checkpoint.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        var mode = _temporaryDirectory is null ? StopMode.Fast : StopMode.Immediate;
        await Task.WhenAll(Servers.Select(server => server.StopAsync(mode)));
        if (_temporaryDirectory is not null && Directory.Exists(_temporaryDirectory))
        {
            Directory.Delete(_temporaryDirectory, recursive: true);
        }
    }

    private static List<LocalServer> CreateServers(string root, ServerBinaries binaries, ServerAccount account, LocalClusterOptions options)
    {
        var ports = new PortPicker(Environment.ProcessId);
        return [.. Enumerable.Range(1, options.Nodes).Select(n => new LocalServer($"node{n}", Path.Combine(root, $"node{n}"), binaries, account, options, ports))];
    }
}
