using System.Collections.Immutable;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Fleet;
using ShardProxy.Catalog.Stores;
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
    private static readonly TimeSpan DrainRound = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan HeldRound = TimeSpan.FromMilliseconds(20);
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
    private readonly SemaphoreSlim _taking = new(1, 1);
    private ProxyRecord _told;
    private long _version;
    private RoutingTable? _table;
    private volatile bool _isLooking;
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
        identity.OnExpelled(instance => _ = RejoinQuietlyAsync(instance));
    }

    /// <summary>What it last told.</summary>
    public ProxyRecord Told => Volatile.Read(ref _told);

    /// <summary>Makes itself known, then takes the placement over. Returns when its own data plane routes by it.</summary>
    public async Task JoinAsync(CancellationToken cancellationToken)
    {
        await JoinAgainAsync(cancellationToken);
        _running = Task.WhenAll(WatchAsync(_stop.Token), BeatAsync(_stop.Token));
    }

    /// <summary>Whether a later process of the same proxy has taken this one's place, by the catalog.</summary>
    public async Task<bool> IsReplacedAsync(CancellationToken cancellationToken) =>
        await _directory.FindAsync(_told.Id, cancellationToken) is ({ IsExpelled: false } now, _) && now.Instance != _identity.Instance;

    /// <summary>The same again, for a process that another one of the same proxy had replaced.</summary>
    public async Task JoinAgainAsync(CancellationToken cancellationToken)
    {
        await RegisterAsync(_identity.Instance, cancellationToken);
        await FollowAsync(cancellationToken);
    }

    /// <summary>Reads the placement now and makes it this proxy's. False: its document is not its own any more.</summary>
    public async Task<bool> FollowAsync(CancellationToken cancellationToken)
    {
        var state = await _catalog.LoadAsync(cancellationToken);
        return state.Nodes.IsEmpty || await TakeAsync(state.ToRoutingTable(), cancellationToken);
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
        catch (Exception)
        {
            // The catalog is away: the others expel it.
        }

        _stop.Dispose();
        _writing.Dispose();
        _joining.Dispose();
        _taking.Dispose();
    }

    private async Task RegisterAsync(string instance, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            while (true)
            {
                var there = await _directory.FindAsync(_told.Id, cancellationToken);
                var predecessor = there is ({ IsBarred: false } before, _) && before.Instance != instance ? before.Instance : null;
                if (predecessor is not null && !_sharesWithPredecessor())
                {
                    // It was killed, or sleeps: none of its connections may be at work under a document that is not about it.
                    await _bar(predecessor, cancellationToken);
                    predecessor = null;
                }

                var mine = _told with { Instance = instance, Predecessor = predecessor, Epoch = 0, DrainedEpoch = 0, DrainedRanges = [], IsExpelled = false, IsBarred = false };
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
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                // The catalog is away: the watch is set up anew.
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

                if (!await TryTellAsync(r => r with { Beat = r.Beat + 1, Leads = _leads(), InTheWay = _own.MovesInTheWay }, cancellationToken))
                {
                    await RejoinAsync(_identity.Instance);
                }
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                // Silent for the others, until the catalog can be reached again.
            }
        }
    }

    /// <summary>Routes by a table and tells what has drained by it; one at a time.</summary>
    private async Task<bool> TakeAsync(RoutingTable table, CancellationToken cancellationToken)
    {
        await _taking.WaitAsync(cancellationToken);
        try
        {
            await _own.PublishAsync(table, DrainScope.None, TimeSpan.Zero, cancellationToken);
            if (table.Epoch >= _told.Epoch)
            {
                _table = table;
            }

            return await TellDrainedAsync(cancellationToken);
        }
        finally
        {
            _taking.Release();
        }
    }

    // What has drained already goes into the same document as the epoch: mostly all of it. What has not is looked for until it has.
    private async Task<bool> TellDrainedAsync(CancellationToken cancellationToken)
    {
        if (_table is not { } table)
        {
            return true;
        }

        var isDrained = _told.DrainedEpoch >= table.Epoch || await HasDrainedAsync(table, DrainScope.EarlierStatements, cancellationToken);
        var ranges = ImmutableArray.CreateBuilder<DrainedRange>();
        var held = table.Moves.Where(m => m.IsHeld).Select(m => m.RangeId).ToList();
        foreach (var id in held)
        {
            if (_told.DrainedRanges.Contains(new DrainedRange(id, table.Epoch)) || await HasDrainedAsync(table, DrainScope.Range(id), cancellationToken))
            {
                ranges.Add(new DrainedRange(id, table.Epoch));
            }
        }

        var done = ranges.ToImmutable();
        var isWhole = isDrained && done.Length == held.Count;
        if (!isWhole && !_isLooking)
        {
            _isLooking = true;
            _ = LookAgainAsync();
        }

        return await TryTellAsync(
            r => table.Epoch < r.Epoch || (table.Epoch == r.Epoch && (isDrained ? table.Epoch : r.DrainedEpoch) == r.DrainedEpoch && done.SequenceEqual(r.DrainedRanges)) ? r
                : r with { Epoch = table.Epoch, DrainedEpoch = isDrained ? table.Epoch : r.DrainedEpoch, DrainedRanges = done },
            cancellationToken);
    }

    private async Task<bool> HasDrainedAsync(RoutingTable table, DrainScope scope, CancellationToken cancellationToken) =>
        (await _own.PublishAsync(table, scope, TimeSpan.Zero, cancellationToken)).All(report => report.IsDrained);

    // Waits for what is in the way of the table at hand, whichever that is by then. A failure is tried again: who waits for the answer does not ask twice.
    private async Task LookAgainAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                if (_table is { } table)
                {
                    // Clients wait for an answer about a held range; nobody does for the statements of before.
                    var held = table.Moves.Where(m => m.IsHeld).Select(m => DrainScope.Range(m.RangeId)).ToList();
                    var round = held.Count > 0 ? HeldRound : DrainRound;
                    await Task.WhenAny(held.Append(DrainScope.EarlierStatements).Select(s => _own.PublishAsync(table, s, round, _stop.Token).AsTask()));
                }

                await _taking.WaitAsync(_stop.Token);
                try
                {
                    _isLooking = false;
                    await TellDrainedAsync(_stop.Token);
                    return;
                }
                finally
                {
                    _taking.Release();
                }
            }
            catch (Exception) when (!_stop.IsCancellationRequested)
            {
                _isLooking = true;
                await Task.Delay(DrainRound, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception)
            {
                return;
            }
        }
    }

    /// <summary>Writes the document changed. False: it is not this instance's any more.</summary>
    private async Task<bool> TryTellAsync(Func<ProxyRecord, ProxyRecord> change, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            while (true)
            {
                var next = change(_told);
                if (ReferenceEquals(next, _told))
                {
                    return true;
                }

                // Not to be cancelled half-way: a write nobody knows the end of costs a version.
                if (await _directory.TryWriteAsync(next, _version, CancellationToken.None) is { } version)
                {
                    (_told, _version) = (next, version);
                    return true;
                }

                if (await _directory.FindAsync(_told.Id, cancellationToken) is not ({ IsExpelled: false } there, var thereVersion) || there.Instance != _told.Instance)
                {
                    return false;
                }

                // A lost write of its own was settled by raising the version.
                (_told, _version) = (there, thereVersion);
            }
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Everything it had on the nodes is gone or will be: it comes back as another. One that a later process of the same proxy has replaced stays silent.</summary>
    private async Task RejoinAsync(string instance)
    {
        await _joining.WaitAsync(_stop.Token);
        try
        {
            if (instance != _identity.Instance)
            {
                return;
            }

            if (await _directory.FindAsync(_told.Id, _stop.Token) is ({ IsExpelled: false }, _))
            {
                return;
            }

            // What of it is left is under a name that nobody else would bar.
            await _bar(instance, _stop.Token);
            var next = _identity.NewName();
            await RegisterAsync(next, _stop.Token);
            if (await FollowAsync(_stop.Token))
            {
                _identity.Use(next);
            }
        }
        finally
        {
            _joining.Release();
        }
    }

    private async Task RejoinQuietlyAsync(string instance)
    {
        try
        {
            await RejoinAsync(instance);
        }
        catch (Exception)
        {
            // The next beat, or the next connection that is refused, tries again.
        }
    }
}
