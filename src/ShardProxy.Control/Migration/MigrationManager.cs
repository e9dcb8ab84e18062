using System.Collections.Immutable;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration;

/// <summary>
/// The queue of migrations and their life in this process. A node has one role (source or target) at a time; the others wait in order.
/// </summary>
public sealed class MigrationManager : IAsyncDisposable
{
    private const int MaximumWaiting = 1000;
    private const int MaximumRemembered = 1000;
    private readonly RoutingCatalog _catalog;
    private readonly MigrationJournal _journal;
    private readonly NodeConnections _connections;
    private readonly NodeAdmin _admin;
    private readonly IProxyFleet _fleet;
    private readonly MigrationOptions _options;
    private readonly Lock _lock = new();
    private readonly List<MigrationJob> _jobs = [];
    private readonly SemaphoreSlim _pumping = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private long _fencingToken;

    public MigrationManager(
        RoutingCatalog catalog, MigrationJournal journal, NodeConnections connections, NodeAdmin admin, IProxyFleet fleet, MigrationOptions options)
    {
        _catalog = catalog;
        _journal = journal;
        _connections = connections;
        _admin = admin;
        _fleet = fleet;
        _options = options;
    }

    /// <summary>Called before each step of each migration; tests make it fail or wait.</summary>
    internal Func<int, string, Task> BeforeStep { get; set; } = (_, _) => Task.CompletedTask;

    /// <summary>
    /// Reads the journal and takes over whatever an earlier process left: what had passed its commit point is ended forward, what had not is taken back and then begun
    /// again, and what waited goes on waiting. Returns when that has been started; it goes on in the background as migrations of the queue.
    /// </summary>
    /// <param name="fencingToken">Token of the lease under which this process runs migrations.</param>
    public async Task RecoverAsync(long fencingToken, CancellationToken cancellationToken)
    {
        _fencingToken = fencingToken;
        var entries = await _journal.ListAsync(cancellationToken);
        var state = await _catalog.LoadAsync(cancellationToken);
        lock (_lock)
        {
            // What was seen while another process ran them.
            ForgetAll();
        }

        foreach (var entry in entries.TakeLast(MaximumRemembered))
        {
            var job = new MigrationJob(entry);
            lock (_lock)
            {
                _jobs.Add(job);
            }

            if (entry.Record.IsOver)
            {
                job.Complete();
                continue;
            }

            await entry.WriteAsync(r => r with { FencingToken = fencingToken }, cancellationToken);
            if (state.FindRange(entry.Record.RangeId) is null)
            {
                await EndUnstartedAsync(job, MigrationState.Failed, "the range does not exist any more", cancellationToken);
            }
            else if (entry.Record.State != MigrationState.Queued)
            {
                job.Context = NewContext(job, state);
                _ = FinishLeftoverAsync(job, job.Context);
            }
        }

        _ = PumpAsync();
    }

    /// <summary>Reads the journal of migrations that another process runs, for whoever looks at them here.</summary>
    public async Task ObserveAsync(CancellationToken cancellationToken)
    {
        var jobs = (await _journal.ListAsync(cancellationToken)).TakeLast(MaximumRemembered).Select(e => new MigrationJob(e)).ToList();
        jobs.Where(j => j.Record.IsOver).ToList().ForEach(j => j.Complete());
        lock (_lock)
        {
            ForgetAll();
            _jobs.AddRange(jobs);
        }
    }

    /// <summary>Asks for a move and returns at once; the range already being there is a notice.</summary>
    /// <exception cref="ShardProxyException">SHP-501, 502; the queue is full.</exception>
    public async Task<MoveResult> BeginMoveAsync(int rangeId, string nodeName, CancellationToken cancellationToken)
    {
        var job = await EnqueueAsync(rangeId, nodeName, cancellationToken);
        return job is null ? AlreadyThere(rangeId, nodeName) : new MoveResult(job.Record.Id, null, null);
    }

    /// <summary>Moves a range and waits until it is done; cancelling ends only the wait.</summary>
    /// <exception cref="ShardProxyException">SHP-501, 502; the queue is full.</exception>
    public async Task<MoveResult> MoveAsync(int rangeId, string nodeName, CancellationToken cancellationToken)
    {
        var job = await EnqueueAsync(rangeId, nodeName, cancellationToken);
        return job is null ? AlreadyThere(rangeId, nodeName) : await WaitAsync(job, cancellationToken);
    }

    /// <summary>The same as a step of something larger: the source is cleaned before it returns.</summary>
    public async Task<MoveResult> MoveForGoodAsync(int rangeId, string nodeName, CancellationToken cancellationToken)
    {
        var job = await EnqueueAsync(rangeId, nodeName, cancellationToken, isForGood: true);
        return job is null ? AlreadyThere(rangeId, nodeName) : await WaitAsync(job, cancellationToken);
    }

    /// <summary>A migration of that group that waits or runs, or null.</summary>
    public int? MigrationOfGroup(int groupId)
    {
        lock (_lock)
        {
            return _jobs.Find(j => !j.Over.IsCompleted && !j.IsInWindow && j.Record.GroupId == groupId)?.Record.Id;
        }
    }

    /// <summary>Waits for the end of a migration this process knows.</summary>
    public async Task<MoveResult> WaitAsync(int migrationId, CancellationToken cancellationToken) => await WaitAsync(Find(migrationId), cancellationToken);

    /// <summary>Cancels a migration and waits until everything of it is gone.</summary>
    /// <exception cref="ShardProxyException">SHP-504 not running, SHP-505 past its commit point.</exception>
    public async Task CancelAsync(int migrationId, CancellationToken cancellationToken)
    {
        var job = Find(migrationId);
        if (job.Over.IsCompleted)
        {
            throw new ShardProxyException(ControlErrors.MigrationUnknown(migrationId));
        }

        await job.Cancel.CancelAsync();
        await PumpAsync();
        await job.Arrived.WaitAsync(cancellationToken);
        if (HasArrived(job.Record))
        {
            throw new ShardProxyException(ControlErrors.PastCommitPoint(migrationId));
        }
    }

    /// <summary>
    /// Brings a migration's range back to where it was: by one cutover while its rollback window is open, else by a move of its own. Waits until it is there; cancelling ends
    /// only the wait.
    /// </summary>
    /// <returns>The move that did it where the window had closed, for a notice; or the error of what failed.</returns>
    /// <exception cref="ShardProxyException">SHP-504 unknown, 519 there is nothing to bring back.</exception>
    public Task<MoveResult> RollbackAsync(int migrationId, CancellationToken cancellationToken) =>
        new MigrationRollback(_catalog, MoveAsync, _connections.Time).RunAsync(Find(migrationId), cancellationToken);

    /// <summary>Closes the open rollback windows of those ranges, and returns when their ghosts are gone.</summary>
    public async Task CloseWindowsAsync(Func<MigrationRecord, bool> which, CancellationToken cancellationToken)
    {
        List<MigrationJob> open;
        lock (_lock)
        {
            open = [.. _jobs.Where(j => j.IsInWindow && which(j.Record))];
        }

        open.ForEach(j => j.CloseWindow());
        await Task.WhenAll(open.Select(j => j.Over)).WaitAsync(cancellationToken);
    }

    private static bool HasArrived(MigrationRecord record) => record.State is MigrationState.Done or MigrationState.Reversible || (record.State == MigrationState.CleaningUp && record.HasArrived);

    /// <summary>A migration is under way or waits.</summary>
    public bool IsAtWork
    {
        get
        {
            lock (_lock)
            {
                return _jobs.Exists(j => !j.Over.IsCompleted && !j.IsInWindow);
            }
        }
    }

    /// <summary>The migration that moves a range or waits to, or null.</summary>
    public int? MigrationOf(int rangeId)
    {
        lock (_lock)
        {
            return _jobs.Find(j => !j.Over.IsCompleted && !j.IsInWindow && j.Record.RangeId == rangeId)?.Record.Id;
        }
    }

    /// <summary>Every migration this process knows, waiting ones too, by id.</summary>
    public ImmutableArray<MigrationView> List(ImmutableArray<Node> nodes)
    {
        lock (_lock)
        {
            return [.. _jobs.Select(j => MigrationViews.Of(j, nodes, _connections.Time)).OrderBy(v => v.Id)];
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        MigrationJob[] running;
        lock (_lock)
        {
            running = [.. _jobs.Where(j => j.Context is not null && !j.Over.IsCompleted)];
        }

        // What is under way stops at its next wait; the journal holds what the next start has to end.
        await Task.WhenAll(running.Select(j => j.Over));
        _stop.Dispose();
        _pumping.Dispose();
    }

    private static MoveResult AlreadyThere(int rangeId, string nodeName) => new(null, $"range {rangeId} is on node {nodeName} already", null);

    private static async Task<MoveResult> WaitAsync(MigrationJob job, CancellationToken cancellationToken)
    {
        await job.Arrived.WaitAsync(cancellationToken);
        return new MoveResult(job.Record.Id, null, job.Record.State switch
        {
            MigrationState.Done or MigrationState.Reversible => null,
            MigrationState.Cancelled => ControlErrors.MigrationCancelled(job.Record.Id),
            _ => ControlErrors.MigrationFailed(job.Record.Id, job.Record.Error ?? "The control plane stopped."),
        });
    }

    private async Task<MigrationJob?> EnqueueAsync(int rangeId, string nodeName, CancellationToken cancellationToken, bool isForGood = false)
    {
        var state = await _catalog.LoadAsync(cancellationToken);
        var range = state.FindRange(rangeId) ?? throw new ShardProxyException(ControlErrors.RangeUnknown(rangeId));
        var target = state.Nodes.FirstOrDefault(n => n.Name == nodeName) ?? throw new ShardProxyException(ControlErrors.NodeUnknown(nodeName));
        lock (_lock)
        {
            if (_jobs.Count(j => !j.Over.IsCompleted) >= MaximumWaiting)
            {
                throw new ShardProxyException(ControlErrors.Preflight($"{MaximumWaiting} migrations are waiting already", "Wait, or cancel some."));
            }

            // With a move of this range waiting, where it will be then is what counts.
            if (range.NodeId == target.Id && _jobs.All(j => j.Over.IsCompleted || j.IsInWindow || j.Record.RangeId != rangeId))
            {
                return null;
            }
        }

        var id = 0;
        state = (await _catalog.TryUpdateAsync(
            s =>
            {
                id = s.NextMigrationId;
                return s with { NextMigrationId = id + 1 };
            },
            cancellationToken))!;
        var now = _connections.Time.GetUtcNow();
        var entry = await _journal.CreateAsync(
            new MigrationRecord
            {
                Id = id,
                GroupId = range.GroupId,
                GroupName = state.Groups.First(g => g.Id == range.GroupId).Name,
                RangeId = rangeId,
                SourceNodeId = range.NodeId,
                TargetNodeId = target.Id,
                State = MigrationState.Queued,
                WithoutWindow = isForGood,
                FencingToken = _fencingToken,
                CreatedAt = now,
                UpdatedAt = now,
            },
            cancellationToken);
        var job = new MigrationJob(entry);
        lock (_lock)
        {
            _jobs.Add(job);
            ForgetOldest();
        }

        await PumpAsync();
        return job;
    }

    /// <summary>Starts every waiting migration whose nodes are free, in order. Also to be called now and then: the catalog may have been away when one ended.</summary>
    public async Task PumpAsync()
    {
        try
        {
            await _pumping.WaitAsync(_stop.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            return;
        }

        try
        {
            var state = await _catalog.LoadAsync(_stop.Token);
            foreach (var job in Waiting())
            {
                await TryStartAsync(job, state);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Waiting migrations stay in the journal.
        }
        finally
        {
            _pumping.Release();
        }
    }

    private async Task TryStartAsync(MigrationJob job, CatalogState state)
    {
        var source = state.FindRange(job.Record.RangeId)?.NodeId;
        if (job.Cancel.IsCancellationRequested)
        {
            await EndUnstartedAsync(job, MigrationState.Cancelled, "cancelled", _stop.Token);
        }
        else if (source is null)
        {
            await EndUnstartedAsync(job, MigrationState.Failed, "the range does not exist any more", _stop.Token);
        }
        else if (source == job.Record.TargetNodeId && !IsBusy(job, source.Value, job.Record.TargetNodeId))
        {
            await EndUnstartedAsync(job, MigrationState.Done, null, _stop.Token);
        }
        else if (!IsBusy(job, source.Value, job.Record.TargetNodeId) && HaveWindowsMadeRoom(job, source.Value))
        {
            await job.Journal.WriteAsync(r => r with { SourceNodeId = source.Value, State = MigrationState.Preparing }, _stop.Token);
            job.Context = NewContext(job, state);
            job.TakeRoles = () => TryTakeRoles(job);
            _ = RunAsync(job, job.Context);
        }
    }

    private async Task RunAsync(MigrationJob job, MigrationContext context)
    {
        await Task.Yield();
        _ = job.Arrived.ContinueWith(_ => PumpAsync(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        try
        {
            await new RangeMigrator(context, _admin).RunAsync(job, _stop.Token);
        }
        finally
        {
            job.Complete();
        }

        await PumpAsync();
    }

    private async Task FinishLeftoverAsync(MigrationJob job, MigrationContext context)
    {
        await Task.Yield();
        var isLast = job.Record.Attempt >= _options.MaximumAttempts;
        try
        {
            await new MigrationEnd(context).FinishAsync(
                isLast ? MigrationState.Failed : MigrationState.Queued, isLast ? $"control planes were restarted during {job.Record.Attempt} attempts" : null, _stop.Token);
        }
        finally
        {
            if (job.Record.State == MigrationState.Queued)
            {
                // It begins again when its nodes are free.
                job.Context = null;
            }
            else
            {
                job.Complete();
            }
        }

        await PumpAsync();
    }

    /// <summary>
    /// Windows that are in the way of a migration are told to close: that of the same range, and the oldest where a node has as many as it may. False: not closed yet; the
    /// migration starts when they are.
    /// </summary>
    private bool HaveWindowsMadeRoom(MigrationJob job, int source)
    {
        lock (_lock)
        {
            var open = _jobs.Where(j => j.IsInWindow).OrderBy(j => j.Record.Id).ToList();
            var inTheWay = open.Where(j => j.Record.RangeId == job.Record.RangeId).ToHashSet();
            foreach (var node in new[] { source, job.Record.TargetNodeId })
            {
                var there = open.Where(j => j.Context!.Source.Id == node || j.Context.Target.Id == node).ToList();
                inTheWay.UnionWith(there.Take(there.Count - _options.RollbackWindowsPerNode + 1));
            }

            foreach (var window in inTheWay)
            {
                window.CloseWindow();
            }

            return inTheWay.Count == 0;
        }
    }

    private bool TryTakeRoles(MigrationJob job)
    {
        lock (_lock)
        {
            return !IsBusy(job, job.Context!.Source.Id, job.Context.Target.Id);
        }
    }

    private async Task EndUnstartedAsync(MigrationJob job, MigrationState end, string? error, CancellationToken cancellationToken)
    {
        await job.Journal.WriteAsync(r => r with { State = end, Error = error, UpdatedAt = _connections.Time.GetUtcNow() }, cancellationToken);
        job.Complete();
    }

    private MigrationContext NewContext(MigrationJob job, CatalogState state) =>
        new(job.Journal, state, _connections, _catalog, _fleet, _options) { StopToken = _stop.Token, BeforeStep = step => BeforeStep(job.Record.Id, step) };

    private bool IsBusy(MigrationJob job, int source, int target)
    {
        lock (_lock)
        {
            return _jobs.Any(j => j != job && j.Context is { } c && !j.Over.IsCompleted && !j.IsInWindow
                && (c.Source.Id == source || c.Source.Id == target || c.Target.Id == source || c.Target.Id == target));
        }
    }

    private List<MigrationJob> Waiting()
    {
        lock (_lock)
        {
            return [.. _jobs.Where(j => j.Context is null && !j.Over.IsCompleted).OrderBy(j => j.Record.Id)];
        }
    }

    private MigrationJob Find(int migrationId)
    {
        lock (_lock)
        {
            return _jobs.FirstOrDefault(j => j.Record.Id == migrationId) ?? throw new ShardProxyException(ControlErrors.MigrationUnknown(migrationId));
        }
    }

    // Whoever waits for one that has not begun is told that it did not happen here.
    private void ForgetAll()
    {
        foreach (var job in _jobs.Where(j => j.Context is null && !j.Over.IsCompleted))
        {
            job.Complete();
        }

        _jobs.Clear();
    }

    private void ForgetOldest()
    {
        while (_jobs.Count > MaximumRemembered && _jobs.Find(j => j.Over.IsCompleted) is { } oldest)
        {
            _jobs.Remove(oldest);
            oldest.Dispose();
        }
    }
}
