using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Login;
using ShardProxy.DataPath.Recording;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Console;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Views;
using ShardProxy.Sql;
using ShardProxy.Wire.Transport;

namespace ShardProxy.DataPath;

/// <summary>
/// The data plane of one proxy: everything between a client's socket and the servers'. Routing tables come in by
/// <see cref="PublishAsync"/>; load and reports go out. It knows nothing of catalogs, plans or migrations.
/// </summary>
public sealed class DataPlane : IDataPlaneView, IProxyFleet, IAsyncDisposable
{
    private readonly DataPathOptions _options;
    private readonly ITransport _transport;
    private readonly ILogger _logger;
    private readonly SessionRegistry _registry = new();
    private readonly DataPathServices _services;
    private readonly RouteExplainer _explainer;
    private readonly DataPathInstruments _instruments;
    private readonly ServerEncryption _encryption;
    private readonly UserDirectory _users;
    private readonly ClientGreeting _greeting;
    private readonly ClientAuthenticator _authenticator;
    private readonly AuthQuery? _authQuery;
    private DataPathOptions _loginOptions;
    private readonly DataPlaneControl _control;
    private SessionSweep? _sweep;
    private DeadlockWatch? _deadlocks;
    private ClientListener? _listener;
    private ITransportListener? _inherited;
    private Task _accepting = Task.CompletedTask;

    public DataPlane(
        DataPathOptions options,
        RoutingTable initial,
        StatementAnalyzer analyzer,
        ITransport transport,
        INodeAddress addresses,
        IConsole console,
        ISchemaObserver schemaObserver,
        ISequenceSource sequences,
        TimeProvider time,
        ILoggerFactory loggers)
    {
        _options = options;
        _transport = transport;
        _logger = loggers.CreateLogger<DataPlane>();
        var holder = new RoutingTableHolder(initial);
        var credentials = new ServerCredentials();
        _encryption = new ServerEncryption(options.NodeTls);
        var connector = new ServerConnector(options, credentials, _encryption, transport, addresses, time);
        var roleChanges = new RoleChanges(time);
        _authQuery = options.UserLookup is null ? null : new AuthQuery(options, connector, holder, roleChanges, time);
        _users = new UserDirectory(options, credentials, _authQuery, _logger);
        _greeting = new ClientGreeting(options.Certificates);
        _authenticator = new ClientAuthenticator(options, _users, _logger);
        _loginOptions = options;
        Recorder = new WorkloadRecorder(options.ProxyId, time);
        Counters = new DataPathCounters();
        Analyzer = analyzer;
        var live = new LiveOptions(options);
        _services = new DataPathServices(
            live, time, analyzer, holder, new ActivityBoard(holder, time) { TrustsOldPlans = options.TrustsOldPlans }, new BackendPools(live, connector, time, Random.Shared, holder.Types), connector, Recorder,
            new CanonicalStatements(), Counters, console, schemaObserver, Convert.ToHexString(RandomNumberGenerator.GetBytes(4)).ToLowerInvariant(), new SequenceBlocks(sequences, time))
        {
            RoleChanges = roleChanges,
            MoveWishes = new MoveWishes(time),
        };
        _services.Shadows = new Shadowing.ShadowReads(_services);
        _explainer = new RouteExplainer(_services);
        _control = new DataPlaneControl(_services, _registry);
        _instruments = new DataPathInstruments(this);
    }

    /// <summary>Load as the statements make it.</summary>
    public WorkloadRecorder Recorder { get; }

    public DataPathCounters Counters { get; }

    /// <summary>What reads of moving ranges showed when they were run again on both nodes.</summary>
    public ShadowBoard Shadow => _services.Shadow;

    /// <summary>Asks the control plane as of when the copies of moving ranges hold everything.</summary>
    public ReadAheadBoard ReadAhead => _services.ReadAhead;

    public StatementAnalyzer Analyzer { get; }

    /// <summary>The routing table in use.</summary>
    public RoutingTable Current => _services.Holder.Current;

    /// <summary>Clients logged in.</summary>
    public int SessionCount => _registry.Count;

    /// <summary>Where clients connect; known once started.</summary>
    public IPEndPoint? EndPoint { get; private set; }

    /// <summary>
    /// Before the start: takes the listening socket another process sends. It is used if it has the configured address; what has
    /// connected to it meanwhile waits for the start.
    /// </summary>
    public async ValueTask InheritListenerAsync(Socket channel)
    {
        var listener = _transport.Receive(channel);
        if (listener.LocalEndPoint.Equals(_options.Listen))
        {
            _inherited = listener;
        }
        else
        {
            await listener.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Sends the listening socket to another process; this one goes on accepting until <see cref="CloseListenerAsync"/>.</summary>
    public void SendListener(Socket channel) => _listener?.SendTo(channel);

    /// <summary>Takes no more clients; those that are there are served on.</summary>
    public async ValueTask CloseListenerAsync()
    {
        IsDraining = true;
        if (_listener is { } listener)
        {
            await listener.CloseAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Waits until the last client has left of itself, or for the token.</summary>
    public async ValueTask WaitForClientsAsync(CancellationToken cancellationToken)
    {
        while (_listener is { ClientCount: > 0 } && !cancellationToken.IsCancellationRequested)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), _services.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Cancels what the session with that key does; false when there is none.</summary>
    public ValueTask<bool> CancelAsync(int processId, int secret) => _listener?.CancelAsync(processId, secret) ?? new(false);

    /// <summary>Asked for cancel keys that no session here has: those of the process that this one follows.</summary>
    public Func<int, int, ValueTask>? CancelElsewhere { get; set; }

    /// <summary>Opens the listener, if none was inherited, and begins to serve.</summary>
    public async ValueTask StartAsync(CancellationToken cancellationToken)
    {
        var listener = _inherited ?? await _transport.ListenAsync(_options.Listen, cancellationToken).ConfigureAwait(false);
        _inherited = null;
        EndPoint = listener.LocalEndPoint;
        _listener = new ClientListener(
            _services, _greeting, _authenticator, _registry, listener, _logger)
        {
            CancelElsewhere = CancelElsewhere,
        };
        _accepting = _listener.RunAsync();
        _sweep = new SessionSweep(_registry, _services);
        _deadlocks = new DeadlockWatch(_registry, _services);
    }

    /// <summary>Clients are being sent away: new ones are not taken.</summary>
    public bool IsDraining { get; private set; }

    /// <summary>Takes no more clients, and sends those that are there away as soon as they are in no transaction. Returns when all have gone or at the token.</summary>
    public async ValueTask DrainAsync(CancellationToken cancellationToken)
    {
        IsDraining = true;
        if (_listener is { } listener)
        {
            await listener.CloseAsync().ConfigureAwait(false);
            await listener.DismissAsync(afterTransaction: true, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>What an administrator may do to sessions and pools.</summary>
    public IDataPlaneControl Control => _control;

    /// <summary>Options that are read anew take effect: sizes, limits and time-outs. The rest stays as it was at the start.</summary>
    public void Apply(DataPathOptions options) => _services.Live.Replace(options);

    /// <summary>Stops accepting, ends all sessions and closes the pools.</summary>
    public async ValueTask StopAsync()
    {
        if (_listener is { } listener)
        {
            _listener = null;
            await listener.StopAsync().ConfigureAwait(false);
            try
            {
                await _accepting.ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                // It was told to stop.
            }

            listener.Dispose();
        }

        if (_inherited is { } unused)
        {
            await unused.DisposeAsync().ConfigureAwait(false);
        }

        _sweep?.Dispose();
        if (_deadlocks is { } deadlocks)
        {
            _deadlocks = null;
            deadlocks.Dispose();
            await deadlocks.Watching.ConfigureAwait(false);
        }

        _services.Shadows.Dispose();
        _services.Pools.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        _instruments.Dispose();
        _authQuery?.Dispose();
    }

    /// <summary>
    /// Reads certificates and the user file again; what is open goes on as it is. Returns what could not be read and stays as it was, one
    /// sentence each; that is logged too.
    /// </summary>
    public ImmutableArray<string> ReloadLogins() => [.. new[] { _greeting.Certificates?.Reload(), _encryption.Reload(), _users.Reload(_loginOptions) }.OfType<string>()];

    /// <summary>
    /// The same with other options: logins that begin from now on go by their rules, users, limits on encryption and certificates. How
    /// roles are looked up and how nodes are connected to stay as they were.
    /// </summary>
    public ImmutableArray<string> ReloadLogins(DataPathOptions options)
    {
        _loginOptions = options;
        _authenticator.Use(options);
        _greeting.Certificates = options.Certificates;
        return ReloadLogins();
    }

    internal IEnumerable<NodeLink> Links => _services.Pools.Links;

    /// <summary>The meter of this data plane, for a listener that wants only this one.</summary>
    internal System.Diagnostics.Metrics.Meter Meter => _instruments.Meter;

    public async ValueTask<ImmutableArray<EpochReport>> PublishAsync(RoutingTable table, DrainScope scope, TimeSpan deadline, CancellationToken cancellationToken) =>
        [await _services.Board.PublishAsync(_options.ProxyId, table, scope, deadline, cancellationToken).ConfigureAwait(false)];

    public ValueTask<long> OldestTransactionOnRangeMsAsync(int rangeId, CancellationToken cancellationToken) => new(_services.Board.OldestOnRangeMs(rangeId));

    /// <inheritdoc />
    public ImmutableArray<int> MovesInTheWay => _services.MoveWishes.Current;

    public ImmutableArray<SessionSnapshot> Sessions() => _registry.Snapshots();

    public ImmutableArray<PoolSnapshot> Pools() => _services.Pools.Snapshots();

    public ImmutableArray<StatementSnapshot> Statements(int limit) => _explainer.Statements(limit);

    public ImmutableArray<RedirectionSnapshot> Redirections() => _services.Redirections.Snapshots();

    /// <summary>Redirections since the start, by range and reason; those of ranges that are gone are forgotten.</summary>
    internal IEnumerable<(int RangeId, string Reason, long Count)> RedirectionTotals() => _services.Redirections.Totals(id => Current.FindRange(id) is not null);

    public ImmutableArray<string> ExplainRoute(string sql) => _explainer.Explain(sql);
}
