using Npgsql;
using ShardProxy.LocalCluster;

namespace ShardProxy.TestKit.Clusters;

/// <summary>
/// Real PostgreSQL servers for a test: private ports, a temporary directory, everything gone when disposed or when the test
/// process dies. Where the machine lacks a server, starting one fails with the line that installs it; nothing is skipped.
/// </summary>
public sealed class TestCluster : IAsyncDisposable
{
    /// <summary>Superuser of the nodes.</summary>
    public const string User = "app";

    /// <summary>Its password.</summary>
    public const string Password = "app-secret";

    /// <summary>Database that exists on every node.</summary>
    public const string Database = "app";

    private readonly LocalServerCluster _cluster;
    private readonly NpgsqlDataSource[] _sources;

    private TestCluster(LocalServerCluster cluster)
    {
        _cluster = cluster;
        _sources = [.. cluster.Servers.Select(server => NpgsqlDataSource.Create(ConnectionString(server)))];
    }

    /// <summary>The servers; the first is the home node.</summary>
    public IReadOnlyList<LocalServer> Nodes => _cluster.Servers;

    /// <summary>Starts <paramref name="nodes"/> servers with DESIGN section 10's settings.</summary>
    /// <param name="nodes">How many.</param>
    /// <param name="settings">Further server settings.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    public static Task<TestCluster> StartAsync(int nodes = 1, IReadOnlyDictionary<string, string>? settings = null, CancellationToken cancellationToken = default) =>
        StartAsync(nodes, settings, null, cancellationToken);

    /// <summary>The same with servers of another major version than the other tests', or null for theirs.</summary>
    public static async Task<TestCluster> StartAsync(
        int nodes, IReadOnlyDictionary<string, string>? settings, int? major, CancellationToken cancellationToken = default)
    {
        var binaries = major is { } version ? await TestPrerequisites.EnsureVersionAsync(version, cancellationToken) : await TestPrerequisites.EnsureAsync(cancellationToken);
        return new TestCluster(await LocalServerCluster.StartAsync(
            new LocalClusterOptions
            {
                Nodes = nodes,
                User = User,
                Password = Password,
                Databases = [Database],
                Binaries = binaries,
                SharedBuffersMegabytes = 32,
                ServerSettings = settings ?? new Dictionary<string, string>(),
            },
            cancellationToken));
    }

    /// <summary>Npgsql's connection string for a node (index from 0).</summary>
    public string ConnectionString(int node, string database = Database) => ConnectionString(Nodes[node], database);

    /// <summary>A pooled source of connections to a node.</summary>
    public NpgsqlDataSource DataSource(int node) => _sources[node];

    /// <summary>Runs SQL on a node and returns the number of rows changed. Statements may be many.</summary>
    public async Task<int> ExecuteAsync(int node, string sql, CancellationToken cancellationToken = default)
    {
        await using var command = _sources[node].CreateCommand(sql);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Runs SQL on every node, one after the other.</summary>
    public async Task ExecuteOnAllAsync(string sql, CancellationToken cancellationToken = default)
    {
        for (var node = 0; node < Nodes.Count; node++)
        {
            await ExecuteAsync(node, sql, cancellationToken);
        }
    }

    /// <summary>The first column of the first row, or default when there is no row or it is NULL.</summary>
    public async Task<T?> ScalarAsync<T>(int node, string sql, CancellationToken cancellationToken = default)
    {
        await using var command = _sources[node].CreateCommand(sql);
        return await command.ExecuteScalarAsync(cancellationToken) is T value ? value : default;
    }

    /// <summary>All rows as text, columns in order, NULL as null.</summary>
    public async Task<IReadOnlyList<IReadOnlyList<string?>>> RowsAsync(int node, string sql, CancellationToken cancellationToken = default)
    {
        await using var command = _sources[node].CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<IReadOnlyList<string?>>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add([.. Enumerable.Range(0, reader.FieldCount).Select(i => reader.IsDBNull(i) ? null : Convert.ToString(reader.GetValue(i), System.Globalization.CultureInfo.InvariantCulture))]);
        }

        return rows;
    }

    /// <summary>Creates a database on every node, so that tests that share a cluster do not share tables.</summary>
    /// <param name="name">A plain lower-case identifier, unused so far.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public Task CreateDatabaseAsync(string name, CancellationToken cancellationToken = default) =>
        ExecuteOnAllAsync($"CREATE DATABASE \"{name}\"", cancellationToken);

    public async ValueTask DisposeAsync()
    {
        foreach (var source in _sources)
        {
            await source.DisposeAsync();
        }

        await _cluster.DisposeAsync();
    }

    private static string ConnectionString(LocalServer server, string database = Database) =>
        new NpgsqlConnectionStringBuilder
        {
            Host = server.Host,
            Port = server.Port,
            Username = User,
            Password = Password,
            Database = database,
            IncludeErrorDetail = true,
            GssEncryptionMode = GssEncryptionMode.Disable,
        }.ConnectionString;
}
