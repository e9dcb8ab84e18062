using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Fleet;
using ShardProxy.Catalog.Stores;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;

namespace ShardProxy.Control.Fleet;

/// <summary>
/// This proxy among the others: follows the catalog's placement, and tells in its document by which epoch it routes, what has drained, and that it lives.
/// </summary>
/// <remarks>
/// The order of joining is what makes it safe: the document first, so that nobody moves a range any more without this proxy's answer; then the placement is
/// read; only then may it serve. A proxy that was expelled joins again in this order, under another instance.
/// </remarks>
public sealed class FleetMember : IAsyncDisposable
{
    private const int BeatsForLook = 5;
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan DrainRound = TimeSpan.FromSeconds(1);
    private readonly ProxyDirectory _directory;
    private readonly ICatalogStore _store;
    private readonly RoutingCatalog _catalog;
    private readonly ProxyIdentity _identity;
    private readonly IProxyFleet _own;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly SemaphoreSlim _joining = new(1, 1);
    private readonly Func<string, CancellationToken, Task> _bar;
    private readonly Func<bool> _sharesWithPredecessor;
    private readonly Func<bool> _leads;
    private readonly Lock _lock = new();
    private ProxyRecord _told;
    private long _version;
    private CancellationTokenSource _draining = new();
    private Task _running = Task.CompletedTask;

    /// <param name="store">The catalog.</param>
    /// <param name="identity">Of this process; renewed when it was expelled.</param>
    /// <param name="own">This process's data plane.</param>
    /// <param name="address">Where clients connect, for people.</param>
    /// <param name="bar">Bars an instance on every node and ends its connections there.</param>
    /// <param name="sharesWithPredecessor">A process before this one hands over and serves clients still.</param>
    /// <param name="leads">Whether this process leads, for people.</param>
    /// <param name="time">Clock.</param>
    public FleetMember(
        ICatalogStore store, ProxyIdentity identity, IProxyFleet own, string address, Func<string, CancellationToken, Task> bar, Func<bool> sharesWithPredecessor, Func<bool> leads, TimeProvider time)
    {
        _leads = leads;
        _bar = bar;
        _sharesWithPredecessor = sharesWithPredecessor;
        _store = store;
        _directory = new ProxyDirectory(store);
        _catalog = new RoutingCatalog(store);
        _identity = identity;
        _own = own;
        _time = time;
        _told = new ProxyRecord { Id = identity.ProxyId, Instance = identity.Instance, Address = address, StartedAt = time.GetUtcNow() };
        identity.OnExpelled(instance => _ = OnExpelledAsync(instance));
    }

    /// <summary>What it last told.</summary>
    public ProxyRecord Told => Volatile.Read(ref _told);

    /// <summary>Makes itself known, then takes the placement over. Returns when its own data plane routes by it.</summary>
    public async Task JoinAsync(CancellationToken cancellationToken)
    {
        await RegisterAsync(_identity.Instance, cancellationToken);
        await FollowAsync(cancellationToken);
        _running = Task.WhenAll(WatchAsync(_stop.Token), BeatAsync(_stop.Token));
    }

    /// <summary>The same again, for a process that another one of the same proxy had replaced.</summary>
    public async Task JoinAgainAsync(CancellationToken cancellationToken)
    {
        await RegisterAsync(_identity.Instance, cancellationToken);
        await FollowAsync(cancellationToken);
    }

    /// <summary>Reads the placement now and makes it this proxy's.</summary>
    public async Task FollowAsync(CancellationToken cancellationToken)
    {
        var state = await _catalog.LoadAsync(cancellationToken);
        if (!state.Nodes.IsEmpty)
        {
            await TakeAsync(state.ToRoutingTable(), cancellationToken);
        }
    }

    /// <summary>Takes its document away: nobody waits for it any more. Call when no client is served.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(3), _time);
        try
        {
            await _writing.WaitAsync(deadline.Token);
            await _directory.TryRemoveAsync(_told.Id, _version, deadline.Token);
        }
        catch (Exception e) when (IsCatalogAway(e))
        {
            // The others expel it.
        }

        _draining.Dispose();
        _stop.Dispose();
        _writing.Dispose();
        _joining.Dispose();
    }

    private async Task RegisterAsync(string instance, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            while (true)
            {
                var there = await _directory.FindAsync(_told.Id, cancellationToken);
                if (there is var (before, _) && before.Instance != instance && !before.IsBarred && !_sharesWithPredecessor())
                {
                    // A predecessor that was killed, or sleeps: none of its connections may be at work under a document that is not about it.
                    await _bar(before.Instance, cancellationToken);
                }

                var mine = _told with { Instance = instance, Epoch = 0, DrainedEpoch = 0, DrainedRanges = [], IsExpelled = false, IsBarred = false };
                if (await _directory.TryWriteAsync(mine, there?.Version ?? 0, cancellationToken) is { } version)
                {
                    (_told, _version) = (mine, version);
                    return;
                }
            }
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await foreach (var _ in _store.WatchAsync(RoutingCatalog.Key, cancellationToken))
                {
                    await FollowAsync(cancellationToken);
                }
            }
            catch (Exception e) when (IsCatalogAway(e))
            {
                await Task.Delay(Beat, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task BeatAsync(CancellationToken cancellationToken)
    {
        for (var beat = 0; !cancellationToken.IsCancellationRequested; beat++)
        {
            await Task.Delay(Beat, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            try
            {
                // A watch is a hint: what it did not tell is seen here.
                if (beat % BeatsForLook == 0)
                {
                    await FollowAsync(cancellationToken);
                }

                await TellAsync(r => r with { Beat = r.Beat + 1, Leads = _leads() }, cancellationToken);
            }
            catch (Exception e) when (IsCatalogAway(e))
            {
                // Silent for the others, until it can be reached again.
            }
        }
    }

    private async Task TakeAsync(RoutingTable table, CancellationToken cancellationToken)
    {
        CancellationTokenSource draining;
        lock (_lock)
        {
            if (table.Epoch <= _told.Epoch)
            {
                return;
            }

            // What drains by the table before is told of this one anew.
            _draining.Cancel();
            _draining.Dispose();
            draining = _draining = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        }

        await _own.PublishAsync(table, DrainScope.None, TimeSpan.Zero, cancellationToken);
        var held = table.Moves.Where(m => m.IsHeld).Select(m => m.RangeId).ToImmutableArray();

        // What has drained already goes into the same document as the epoch: mostly all of it.
        var isDrained = await HasDrainedAsync(DrainScope.EarlierStatements, TimeSpan.Zero);
        var ranges = ImmutableArray.CreateBuilder<DrainedRange>();
        foreach (var id in held)
        {
            if (await HasDrainedAsync(DrainScope.Range(id), TimeSpan.Zero))
            {
                ranges.Add(new DrainedRange(id, table.Epoch));
            }
        }

        var done = ranges.ToImmutable();
        await TellAsync(
            r => table.Epoch <= r.Epoch ? r : r with { Epoch = table.Epoch, DrainedEpoch = isDrained ? table.Epoch : r.DrainedEpoch, DrainedRanges = done }, cancellationToken);
        if (!isDrained)
        {
            _ = LaterAsync(DrainScope.EarlierStatements, r => r with { DrainedEpoch = Math.Max(r.DrainedEpoch, table.Epoch) });
        }

        foreach (var id in held.Where(id => done.All(d => d.RangeId != id)))
        {
            _ = LaterAsync(DrainScope.Range(id), r => r.Epoch == table.Epoch ? r with { DrainedRanges = r.DrainedRanges.Add(new DrainedRange(id, table.Epoch)) } : r);
        }

        async Task<bool> HasDrainedAsync(DrainScope scope, TimeSpan within) =>
            (await _own.PublishAsync(table, scope, within, cancellationToken)).All(report => report.IsDrained);

        async Task LaterAsync(DrainScope scope, Func<ProxyRecord, ProxyRecord> change)
        {
            try
            {
                while (!(await _own.PublishAsync(table, scope, DrainRound, draining.Token)).All(report => report.IsDrained))
                {
                    draining.Token.ThrowIfCancellationRequested();
                }

                await TellAsync(change, draining.Token);
            }
            catch (Exception e) when (IsCatalogAway(e) || e is ObjectDisposedException)
            {
                // A later table is out, or this cannot be told now: who waits for it does so in vain and asks again by a later table.
            }
        }
    }

    /// <summary>Writes the document changed. When it is not this process's any more, it joins again.</summary>
    private async Task TellAsync(Func<ProxyRecord, ProxyRecord> change, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            var next = change(_told);
            if (next == _told)
            {
                return;
            }

            if (await _directory.TryWriteAsync(next, _version, cancellationToken) is { } version)
            {
                (_told, _version) = (next, version);
                return;
            }
        }
        finally
        {
            _writing.Release();
        }

        await OnExpelledAsync(_told.Instance);
    }

    /// <summary>Everything it had on the nodes is gone or will be: it comes back as another. One that a later process of the same proxy has replaced stays silent.</summary>
    private async Task OnExpelledAsync(string instance)
    {
        await _joining.WaitAsync(_stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            _stop.Token.ThrowIfCancellationRequested();
            if (instance != _identity.Instance || await _directory.FindAsync(_told.Id, _stop.Token) is ({ IsExpelled: false } now, _) && now.Instance != instance)
            {
                return;
            }

            var next = _identity.NewName();
            await RegisterAsync(next, _stop.Token);
            await FollowAsync(_stop.Token);
            _identity.Use(next);
        }
        catch (Exception e) when (IsCatalogAway(e))
        {
            // The next beat, or the next connection that is refused, tries again.
        }
        finally
        {
            _joining.Release();
        }
    }

    private static bool IsCatalogAway(Exception e) =>
        e is NpgsqlException or IOException or TimeoutException or OperationCanceledException or ShardProxyException or ObjectDisposedException;
}
