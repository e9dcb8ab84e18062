using System.Collections.Concurrent;
using Npgsql;
using Npgsql.Replication;
using Polly;
using Polly.Retry;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Nodes;

/// <summary>
/// The control plane's own connections to the nodes, apart from the clients' pools, named <c>shardproxy/&lt;proxy&gt;/control</c>. Opening is
/// retried, commands never are.
/// </summary>
public sealed class NodeConnections : IAsyncDisposable
{
    private const int MaximumPerNode = 16;
    private readonly ConcurrentDictionary<Node, NpgsqlDataSource> _sources = new();
    private readonly Func<Node, NodeLogin> _login;
    private readonly string _applicationName;
    private readonly ResiliencePipeline _openRetries;

    /// <param name="proxyId">This proxy's id.</param>
    /// <param name="login">Credentials by node.</param>
    /// <param name="time">Clock of the retries.</param>
    public NodeConnections(string proxyId, Func<Node, NodeLogin> login, TimeProvider time)
    {
        ProxyId = proxyId;
        Time = time;
        _login = login;
        _applicationName = $"shardproxy/{proxyId}/control";
        _openRetries = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<NpgsqlException>(e => e.IsTransient),
                MaxRetryAttempts = 4,
                BackoffType = DelayBackoffType.Exponential,
                Delay = TimeSpan.FromMilliseconds(50),
                UseJitter = true,
            })
            .Build();
    }

    public string ProxyId { get; }

    /// <summary>The clock of everything in the control plane.</summary>
    public TimeProvider Time { get; }

    /// <summary>Opens a pooled connection; the caller disposes it, which also resets its session state.</summary>
    public async ValueTask<NpgsqlConnection> OpenAsync(Node node, CancellationToken cancellationToken) =>
        await _openRetries.ExecuteAsync(async ct => await Source(node).OpenConnectionAsync(ct), cancellationToken);

    /// <summary>
    /// Opens a connection of its own, not a pooled one, under a name by which a successor may end it: a pooled one would keep the name until it is used again, by whomever. The caller
    /// disposes it.
    /// </summary>
    public async ValueTask<NpgsqlConnection> OpenSessionAsync(Node node, string name, CancellationToken cancellationToken)
    {
        var settings = Settings(node);
        settings.Pooling = false;
        settings.ApplicationName = name;
        return await _openRetries.ExecuteAsync(
            async ct =>
            {
                var connection = new NpgsqlConnection(settings.ConnectionString);
                try
                {
                    await connection.OpenAsync(ct);
                    return connection;
                }
                catch
                {
                    await connection.DisposeAsync();
                    throw;
                }
            },
            cancellationToken);
    }

    /// <summary>Opens a logical replication connection; the caller disposes it.</summary>
    public async ValueTask<LogicalReplicationConnection> OpenReplicationAsync(Node node, CancellationToken cancellationToken)
    {
        var builder = Settings(node);
        builder.Pooling = false;
        return await _openRetries.ExecuteAsync(
            async ct =>
            {
                var connection = new LogicalReplicationConnection(builder.ConnectionString);
                try
                {
                    await connection.Open(ct);
                    return connection;
                }
                catch
                {
                    await connection.DisposeAsync();
                    throw;
                }
            },
            cancellationToken);
    }

    /// <summary>The libpq connection string by which another node subscribes to this one. Holds the password.</summary>
    public string SubscriptionString(Node publisher)
    {
        var login = _login(publisher);
        return string.Join(
            ' ',
            $"host={LibpqValue(publisher.Host)}",
            $"port={publisher.Port}",
            $"user={LibpqValue(login.User)}",
            $"password={LibpqValue(login.Password)}",
            $"dbname={LibpqValue(login.Database)}",

            // Certificates are files of this machine; the subscribing node has its own or none.
            $"sslmode={(login.Tls.Mode switch { NodeTlsMode.Disable => "disable", NodeTlsMode.Prefer => "prefer", _ => "require" })}");
    }

    /// <summary>The data source of a node, for commands that need no session state.</summary>
    public NpgsqlDataSource Source(Node node) => _sources.GetOrAdd(node, n => NpgsqlDataSource.Create(Settings(n)));

    public async ValueTask DisposeAsync()
    {
        foreach (var source in _sources.Values)
        {
            await source.DisposeAsync();
        }
    }

    private static string LibpqValue(string value) =>
        "'" + value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal) + "'";

    private NpgsqlConnectionStringBuilder Settings(Node node)
    {
        var login = _login(node);
        return new NpgsqlConnectionStringBuilder
        {
            Host = node.Host,
            Port = node.Port,
            Username = login.User,
            Password = login.Password,
            Database = login.Database,
            ApplicationName = _applicationName,

            // What a role or a database has for its users' sessions: some of these hold a snapshot or locks for the length of a copy.
            Options = "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0 -c default_transaction_isolation=read\\ committed -c default_transaction_read_only=off",
            MaxPoolSize = MaximumPerNode,
            Timeout = 10,

            // Steps have deadlines of their own, by cancellation.
            CommandTimeout = 0,
            IncludeErrorDetail = false,
            Enlist = false,
            GssEncryptionMode = GssEncryptionMode.Disable,
        }.With(login.Tls);
    }
}
