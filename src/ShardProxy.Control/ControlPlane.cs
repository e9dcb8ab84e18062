using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Fleet;
using ShardProxy.Catalog.Journal;
using ShardProxy.Catalog.Stores;
using ShardProxy.Control.Fleet;
using ShardProxy.Control.Migration;
using ShardProxy.Control.Migration.Preparing;
using ShardProxy.Control.Migration.ReadingAhead;
using ShardProxy.Control.Nodes;
using ShardProxy.Control.Schema;
using ShardProxy.Control.Tables;
using ShardProxy.Control.Transactions;
using ShardProxy.Control.Watching;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control;

/// <summary>
/// The control plane of one process: what the console's statements do, and what runs by itself (recovery at the start, the lease, prepared
/// transactions in doubt). All members may be called from any thread.
/// </summary>
public sealed class ControlPlane : IAsyncDisposable
{
    private const string LeaseName = "control";
    private static readonly TimeSpan FleetInterval = TimeSpan.FromSeconds(1);
    private readonly ControlPlaneOptions _options;
    private readonly ICatalogStore _store;
    private readonly IProxyFleet _fleet;
    private readonly FleetRoster _roster;
    private readonly FleetMember? _member;
    private readonly Expulsion _expulsion;
    private readonly TimeProvider _time;
    private readonly NodeConnections _connections;
    private readonly RoutingCatalog _catalog;
    private readonly NodeAdmin _admin;
    private readonly MigrationManager _migrations;
    private readonly MovePreflight _preflight;
    private readonly TableDistributor _tables;
    private readonly SchemaRefresher _schema;
    private readonly DriftMonitor _drift;
    private readonly RangeSplitter _ranges;
    private readonly InDoubtResolver _inDoubt;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _renewing = new(1, 1);
    private readonly Lock _lock = new();
    private volatile CatalogLease? _lease;
    private int _changing;
    private volatile bool _isSuspended;
    private Task _background = Task.CompletedTask;
    private Task _following = Task.CompletedTask;
    private Task _resuming = Task.CompletedTask;

    /// <param name="options">From the configuration.</param>
    /// <param name="store">The catalog; stays the caller's.</param>
    /// <param name="fleet">The data planes.</param>
    /// <param name="time">The clock.</param>
    public ControlPlane(ControlPlaneOptions options, ICatalogStore store, IProxyFleet fleet, TimeProvider time)
    {
        _options = options;
        _store = store;
        _time = time;
        _connections = new NodeConnections(options.ProxyId, options.Login, time);
        _catalog = new RoutingCatalog(store);
        var directory = new ProxyDirectory(store);
        _roster = new FleetRoster(directory, options.ProxyId, time);
        _expulsion = new Expulsion(directory, _roster, _catalog, _connections, options.Silence);
        _member = options.Identity is { } identity
            ? new FleetMember(store, identity, fleet, options.Address, _expulsion.BarAsync, options.IsHandingOver, () => IsLeading, time)
            : null;
        _fleet = fleet = _member is null ? fleet : new CatalogFleet(fleet, _roster, time);
        _admin = new NodeAdmin(_connections);
        _migrations = new MigrationManager(_catalog, new MigrationJournal(store), _connections, _admin, fleet, options.Migration);
        _preflight = new MovePreflight(_catalog, _connections, _admin, options.Migration);
        _tables = new TableDistributor(_catalog, new DistributionJournal(store), _connections, fleet, MoveForGoodAsync, (group, ct) => _migrations.CloseWindowsAsync(r => r.GroupId == group, ct));
        _schema = new SchemaRefresher(_catalog, _connections, fleet);
        _drift = new DriftMonitor(_catalog, _connections);
        _ranges = new RangeSplitter(_catalog, fleet, _migrations.MigrationOf);
        _inDoubt = new InDoubtResolver(_catalog, _connections, options.InDoubtAge);
        Watch = new NodeWatch(_catalog, _connections, _migrations.List, time);
        Sequences = new SequenceSource(_catalog, _connections);
    }

    /// <summary>Numbers of the home node's sequences.</summary>
    public ISequenceSource Sequences { get; }

    /// <summary>What the nodes said last, where this process leads.</summary>
    public NodeWatch Watch { get; }

    /// <summary>The catalog's placement, for whoever needs to read it.</summary>
    public RoutingCatalog Catalog => _catalog;

    /// <summary>This process holds the lease: it moves ranges and places tables. One of several proxies does.</summary>
    public bool IsLeading => _lease is not null && !_isSuspended;

    /// <summary>
    /// Prepares catalog and nodes, makes this proxy known to the others, takes the lease if it is free, publishes the routing table, ends what an earlier process
    /// left, and begins its rounds. Without the lease it follows the proxy that holds it, and takes its place when that is gone. Returns when clients may be served.
    /// </summary>
    /// <exception cref="ShardProxyException">SHP-513: another control plane holds the lease, and there is no other proxy to be followed.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _store.InitializeAsync(cancellationToken);
        await _roster.RefreshAsync(cancellationToken);
        var lease = await AcquireLeaseAsync(cancellationToken);
        var state = await new NodeRegistry(_catalog, _admin).RegisterAsync(_options.Nodes, cancellationToken);
        if (_member is not null)
        {
            await _member.JoinAsync(cancellationToken);
            _following = _roster.RunAsync(_stop.Token);
        }

        await _fleet.PublishAsync(state.ToRoutingTable(), DrainScope.None, TimeSpan.FromSeconds(10), cancellationToken);
        if (lease is not null)
        {
            await LeadAsync(lease, cancellationToken);
        }
        else
        {
            await _migrations.ObserveAsync(cancellationToken);
        }

        await _schema.RefreshAsync(cancellationToken);
        _background = Task.WhenAll(
            _options.Migration.Shadow is { } shadow ? EveryAsync(FleetInterval, ct => new Migration.ShadowReading.ShadowRelay(_store, shadow).RoundAsync(IsLeading, ct)) : Task.CompletedTask,
            _options.ReadAhead is { } ahead ? new FreshnessPoller(ahead.Board, ahead.Current, _connections).RunAsync(_stop.Token) : Task.CompletedTask,
            EveryAsync(_options.Lease / 3, RenewLeaseAsync, isRenewal: true),
            EveryAsync(_options.InDoubtInterval, ct => WhenLeadingAsync(_inDoubt.ResolveAsync, ct)),
            EveryAsync(_options.DriftInterval, CompareNodesAsync),
            EveryAsync(FleetInterval, ct => WhenLeadingAsync(_expulsion.RoundAsync, ct)),
            EveryAsync(_options.WatchInterval, WatchNodesAsync),
            EveryAsync(_options.KeyLearningInterval, ct => WhenLeadingAsync(new KeyScaleLearner(_catalog, _connections, _fleet).LearnAsync, ct)));
    }

    /// <summary>SHARD TABLE. Waits until done; cancelling undoes it.</summary>
    public async Task<TableResult> ShardTableAsync(
        string? schema, string table, ImmutableArray<string> keyColumns, ShardingMethod method, QualifiedName? colocateWith, CancellationToken cancellationToken)
    {
        using var change = BeginChange();
        if (colocateWith is { } other && (await _catalog.LoadAsync(cancellationToken)).FindTable(other) is { } beside)
        {
            await _migrations.CloseWindowsAsync(r => r.GroupId == beside.GroupId, cancellationToken);
        }

        var result = await _tables.ShardAsync(schema, table, keyColumns, method, colocateWith, cancellationToken);
        await _schema.RefreshAsync(cancellationToken);
        return result;
    }

    /// <summary>UNSHARD TABLE. Waits until done; cancelling leaves it to the next control plane to go on.</summary>
    public async Task<TableResult> UnshardTableAsync(string? schema, string table, CancellationToken cancellationToken)
    {
        using var change = BeginChange();
        var result = await _tables.UnshardAsync(schema, table, cancellationToken);
        await _schema.RefreshAsync(cancellationToken);
        return result;
    }

    /// <summary>Waits only until the first move of a placement is under way: that migration; null when the placement is done without.</summary>
    public Task<int?> FirstMoveAsync(Task<TableResult> placement, QualifiedName table, CancellationToken cancellationToken) =>
        PlacementWatch.FirstMoveAsync(placement, table, _catalog, _migrations.MigrationOfGroup, _time, cancellationToken);

    /// <summary>REPLICATE TABLE. Waits until done; cancelling undoes it.</summary>
    public async Task<TableResult> ReplicateTableAsync(string? schema, string table, CancellationToken cancellationToken)
    {
        using var change = BeginChange();
        var result = await _tables.ReplicateAsync(schema, table, cancellationToken);
        await _schema.RefreshAsync(cancellationToken);
        return result;
    }

    /// <summary>SPLIT RANGE: the upper half's id.</summary>
    public async Task<int> SplitAsync(int rangeId, long at, CancellationToken cancellationToken)
    {
        using var change = BeginChange();
        await _migrations.CloseWindowsAsync(r => r.RangeId == rangeId, cancellationToken);
        return await _ranges.SplitAsync(rangeId, at, cancellationToken);
    }

    /// <summary>SPLIT RANGE of a RANGE group: the upper half's id.</summary>
    public async Task<int> SplitAtKeyAsync(int rangeId, ImmutableArray<string> key, CancellationToken cancellationToken)
    {
        using var change = BeginChange();
        await _migrations.CloseWindowsAsync(r => r.RangeId == rangeId, cancellationToken);
        return await _ranges.SplitAtAsync(rangeId, await new KeyBoundReader(_catalog, _connections).ReadAsync(rangeId, key, cancellationToken), cancellationToken);
    }

    /// <summary>MERGE RANGES: neighbours on one node. The id of the range they are then.</summary>
    public async Task<int> MergeAsync(int firstId, int secondId, CancellationToken cancellationToken)
    {
        using var change = BeginChange();
        await _migrations.CloseWindowsAsync(r => r.RangeId == firstId || r.RangeId == secondId, cancellationToken);
        return await _ranges.MergeAsync(firstId, secondId, cancellationToken);
    }

    /// <summary>MOVE RANGE. With <paramref name="wait"/> until done, else until queued; cancelling ends only the wait.</summary>
    public async Task<MoveResult> MoveAsync(int rangeId, string node, bool wait, CancellationToken cancellationToken)
    {
        using var change = BeginChange();

        // What waits in the queue is looked at again when its turn has come.
        var notice = _migrations.MigrationOf(rangeId) is null ? await _preflight.CheckAsync(rangeId, node, cancellationToken) : null;
        var result = wait ? await _migrations.MoveAsync(rangeId, node, cancellationToken) : await _migrations.BeginMoveAsync(rangeId, node, cancellationToken);
        return result with { Notice = result.Notice ?? notice };
    }

    /// <summary>CANCEL MIGRATION. Waits until everything of it is gone.</summary>
    public Task CancelMigrationAsync(int migrationId, CancellationToken cancellationToken) => _migrations.CancelAsync(migrationId, cancellationToken);

    /// <summary>ROLLBACK MIGRATION. With <paramref name="wait"/> until the range is back; cancelling ends only the wait.</summary>
    public async Task<MoveResult> RollbackMigrationAsync(int migrationId, bool wait, CancellationToken cancellationToken)
    {
        using var change = BeginChange();
        var rollback = _migrations.RollbackAsync(migrationId, wait ? cancellationToken : CancellationToken.None);

        // What is refused at once is told at once.
        return wait || rollback.IsCompleted ? await rollback : new MoveResult(migrationId, null, null);
    }

    /// <summary>SHOW MIGRATIONS, by id.</summary>
    public async Task<ImmutableArray<MigrationView>> ListMigrationsAsync(CancellationToken cancellationToken) =>
        _migrations.List((await _catalog.LoadAsync(cancellationToken)).Nodes);

    /// <summary>SHOW MIGRATIONS from memory, with the names of the given nodes.</summary>
    public ImmutableArray<MigrationView> ListMigrations(ImmutableArray<Node> nodes) => _migrations.List(nodes);

    /// <summary>SHOW DRIFT: where placed tables are not the same on all nodes, as of the last comparison.</summary>
    public ImmutableArray<TableDifference> Drift => _drift.Differences;

    /// <summary>SHOW PROXIES: those that share the catalog, by id.</summary>
    public ImmutableArray<ProxyStatus> Proxies() =>
        _roster.Statuses(_member?.Told ?? new ProxyRecord { Id = _options.ProxyId, Instance = "", Address = _options.Address, Epoch = _catalog.LastEpoch }, IsLeading);

    /// <summary>To be called after DDL that went through the proxy.</summary>
    public Task<bool> RefreshSchemaAsync(CancellationToken cancellationToken) => _schema.RefreshAsync(cancellationToken);

    /// <summary>
    /// Gives the lease up, for another process to take: from now on nothing is placed or moved here, only the schema is followed. Undone by
    /// <see cref="ResumeAsync"/>.
    /// </summary>
    /// <exception cref="ShardProxyException">SHP-515: something is being moved or placed just now; nothing has changed.</exception>
    public async Task SuspendAsync(CancellationToken cancellationToken)
    {
        await _migrations.CloseWindowsAsync(_ => true, cancellationToken);
        lock (_lock)
        {
            if (_changing > 0 || _migrations.IsAtWork)
            {
                throw new ShardProxyException(ControlErrors.CannotHandOver("a range is being moved or a table placed"));
            }

            _isSuspended = true;
        }

        // It may be being renewed.
        await _renewing.WaitAsync(cancellationToken);
        try
        {
            if (_lease is { } lease)
            {
                await _store.ReleaseLeaseAsync(lease, cancellationToken);
                _lease = null;
            }
        }
        catch
        {
            _isSuspended = false;
            throw;
        }
        finally
        {
            _renewing.Release();
        }
    }

    /// <summary>Takes the lease again and goes on, from what the catalog says now, with the nodes of this process's configuration.</summary>
    /// <exception cref="ShardProxyException">SHP-513: another control plane holds the lease.</exception>
    public async Task ResumeAsync(CancellationToken cancellationToken)
    {
        var lease = await AcquireLeaseAsync(cancellationToken);

        // The other process may have brought its own configuration's addresses into the catalog.
        var state = await new NodeRegistry(_catalog, _admin).RegisterAsync(_options.Nodes, cancellationToken);
        await _fleet.PublishAsync(state.ToRoutingTable(), DrainScope.None, TimeSpan.FromSeconds(10), cancellationToken);
        if (_member is not null)
        {
            await _member.JoinAgainAsync(cancellationToken);
        }

        if (lease is not null)
        {
            await LeadAsync(lease, cancellationToken);
        }

        lock (_lock)
        {
            _isSuspended = false;
        }
    }

    /// <summary>Makes what the catalog says now the routing table here: another process has changed it.</summary>
    public async Task<ImmutableArray<EpochReport>> FollowAsync(DrainScope scope, TimeSpan deadline, CancellationToken cancellationToken) =>
        await (_options.Self ?? _fleet).PublishAsync((await _catalog.LoadAsync(cancellationToken)).ToRoutingTable(), scope, deadline, cancellationToken);

    /// <summary>Stops: running migrations stay in the journal for the next start, the lease is given up.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _background.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _following.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _resuming.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_member is not null)
        {
            await _member.DisposeAsync();
        }

        _roster.Dispose();
        await _migrations.DisposeAsync();
        _tables.Dispose();
        _schema.Dispose();
        if (_lease is { } lease)
        {
            try
            {
                await _store.ReleaseLeaseAsync(lease, CancellationToken.None);
            }
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
            {
                // It runs out by itself.
            }
        }

        await _connections.DisposeAsync();
        _stop.Dispose();
        _renewing.Dispose();
    }

    private Task<MoveResult> MoveForGoodAsync(int rangeId, string node, CancellationToken cancellationToken) =>
        IsLeading ? _migrations.MoveForGoodAsync(rangeId, node, cancellationToken) : throw new ShardProxyException(ControlErrors.NotLeading);

    // Placing and moving: not while a hand-over is under way, and no hand-over meanwhile.
    private Change BeginChange()
    {
        lock (_lock)
        {
            if (_isSuspended || _options.IsHandingOver())
            {
                throw new ShardProxyException(ControlErrors.HandingOver);
            }

            if (_lease is null)
            {
                throw new ShardProxyException(ControlErrors.NotLeading);
            }

            _changing++;
            return new Change(this);
        }
    }

    private readonly struct Change(ControlPlane owner) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref owner._changing);
    }

    /// <summary>The lease; null when a proxy that lives has it.</summary>
    private async Task<CatalogLease?> AcquireLeaseAsync(CancellationToken cancellationToken)
    {
        // A predecessor that was killed cannot give its lease up: wait for it to run out, once.
        var started = _time.GetTimestamp();
        for (var isOwn = false; ;)
        {
            if (await _store.TryAcquireLeaseAsync(LeaseName, _options.ProxyId, _options.Lease, cancellationToken) is { } lease)
            {
                if (isOwn)
                {
                    return lease;
                }

                // It may be that of an earlier process of this proxy, which sleeps: a token of its own outdates that one's.
                await _store.ReleaseLeaseAsync(lease, cancellationToken);
                isOwn = true;
                continue;
            }

            if (_member is not null && _roster.Others.Any(p => !p.IsExpelled))
            {
                return null;
            }

            if (_time.GetElapsedTime(started) > _options.Lease * 1.5)
            {
                throw new ShardProxyException(new ShardProxyError(
                    "55006", "SHP-513", "another control plane holds the lease on this catalog", "Stop it first, or give this proxy a catalog of its own."));
            }

            await Task.Delay(TimeSpan.FromMilliseconds(200), _time, cancellationToken);
            await _roster.RefreshAsync(cancellationToken);
        }
    }

    /// <summary>Ends what an earlier holder of the lease left; from here on ranges are moved and tables placed here.</summary>
    private async Task LeadAsync(CatalogLease lease, CancellationToken cancellationToken)
    {
        await _tables.RecoverAsync(cancellationToken);
        await _migrations.RecoverAsync(lease.FencingToken, cancellationToken);
        _lease = lease;
        _resuming = Task.WhenAll(_resuming, PlacementWatch.ResumeAsync(_tables, () => IsLeading, _options.Lease, _time, _stop.Token));
    }

    private async Task<int> RenewLeaseAsync(CancellationToken cancellationToken)
    {
        var lease = await _store.TryAcquireLeaseAsync(LeaseName, _options.ProxyId, _options.Lease, cancellationToken);
        if (lease is null)
        {
            // Another proxy leads: what was under way here it has taken over, and the journal refuses this one's next step.
            _lease = null;
            await _migrations.ObserveAsync(cancellationToken);
        }
        else if (_lease?.FencingToken == lease.FencingToken)
        {
            // What could not be begun while the catalog was away.
            _lease = lease;
            await _migrations.PumpAsync();
        }
        else if (_member is not null && await _member.IsReplacedAsync(cancellationToken))
        {
            // The lease is this proxy's, and a later process of it leads.
            _lease = null;
        }
        else
        {
            await LeadAsync(lease, cancellationToken);
        }

        return 0;
    }

    private async Task<int> WhenLeadingAsync(Func<CancellationToken, Task<int>> run, CancellationToken cancellationToken) => IsLeading ? await run(cancellationToken) : 0;

    // What was done on a node directly nobody tells. It only reads, and may take its time: the lease is renewed meanwhile.
    private async Task<int> CompareNodesAsync(CancellationToken cancellationToken)
    {
        await _schema.RefreshAsync(cancellationToken);
        return await _drift.CheckAsync(cancellationToken);
    }

    private async Task<int> WatchNodesAsync(CancellationToken cancellationToken)
    {
        if (IsLeading)
        {
            return await Watch.RoundAsync(cancellationToken);
        }

        Watch.Forget();
        return 0;
    }

    private async Task EveryAsync(TimeSpan interval, Func<CancellationToken, Task<int>> run, bool isRenewal = false)
    {
        using var timer = new PeriodicTimer(interval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                if (isRenewal)
                {
                    await _renewing.WaitAsync(_stop.Token);
                }

                try
                {
                    if (!_isSuspended)
                    {
                        await run(_stop.Token);
                    }
                }
                catch (Exception) when (!_stop.IsCancellationRequested)
                {
                    // A node or the catalog is away; the next round comes soon.
                }
                finally
                {
                    if (isRenewal)
                    {
                        _renewing.Release();
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Stopped.
        }
    }
}
