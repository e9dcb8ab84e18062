using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;
using ShardProxy.Planning.Forecasting;
using ShardProxy.Planning.Placement;

namespace ShardProxy.Control.Planner;

/// <summary>
/// The planner's receding horizon: forecast, plan, guard, carry out the splits up to the first move and that move, then look again.
/// Forecasts and views go on while a move runs. One loop a cluster.
/// </summary>
public sealed partial class PlannerLoop : IAsyncDisposable
{
    private readonly PlannerOptions _options;
    private readonly ObservedLoad _load;
    private readonly Func<RoutingTable> _currentTable;
    private readonly Func<ShardRange, long> _bytesOf;
    private readonly TimeProvider _time;
    private readonly ILogger<PlannerLoop> _logger;
    private readonly LoadForecaster _forecaster;
    private readonly PlacementPlanner _planner;
    private readonly PlanRunner _runner;
    private readonly PlanLog _plans;
    private readonly MoveLedger _ledger;
    private readonly ViewBuilder _views;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _modeLock = new();
    private PlannerMode _mode;
    private ImmutableSortedDictionary<int, PlannerMode> _groupModes = ImmutableSortedDictionary<int, PlannerMode>.Empty;
    private Task _execution = Task.CompletedTask;
    private Task _loop = Task.CompletedTask;
    private PlannerView _view = PlannerView.Empty;

    /// <summary>Makes a loop that does nothing until <see cref="Start"/>.</summary>
    /// <param name="options">Configuration.</param>
    /// <param name="load">The history that a <see cref="WorkloadCollector"/> fills.</param>
    /// <param name="currentTable">The routing table now.</param>
    /// <param name="bytesOf">Size of a range, quickly and from memory; 0 when unknown.</param>
    /// <param name="executor">Carries plans out.</param>
    /// <param name="time">Clock and timer.</param>
    /// <param name="logger">Decisions and failures.</param>
    public PlannerLoop(
        PlannerOptions options, ObservedLoad load, Func<RoutingTable> currentTable, Func<ShardRange, long> bytesOf, IPlanExecutor executor, TimeProvider time, ILogger<PlannerLoop> logger)
    {
        _options = options;
        _load = load;
        _currentTable = currentTable;
        _bytesOf = bytesOf;
        _time = time;
        _logger = logger;
        _mode = options.Mode;
        _forecaster = new LoadForecaster(options.Forecast);
        _planner = new PlacementPlanner(options.Placement);
        _plans = new PlanLog(options.MaxPlansKept);
        _ledger = new MoveLedger(TimeSpan.FromTicks(Math.Max(options.Placement.ReturnBan.Ticks, options.Guard.BudgetWindow.Ticks)));
        _runner = new PlanRunner(executor, new PlanGuard(options.Guard), _plans, _ledger, currentTable, time);
        _views = new ViewBuilder(options);
    }

    /// <summary>The newest snapshot, with plans and modes as they are now.</summary>
    public PlannerView View
    {
        get
        {
            lock (_modeLock)
            {
                return Volatile.Read(ref _view) with { Plans = _plans.Plans, Mode = _mode, GroupModes = _groupModes };
            }
        }
    }

    /// <summary>Starts the timer.</summary>
    public void Start() => _loop = Task.Run(() => LoopAsync(_stop.Token));

    /// <summary>Sets the mode of all groups, or of one.</summary>
    public void SetMode(PlannerMode mode, int? groupId = null)
    {
        lock (_modeLock)
        {
            if (groupId is { } group)
            {
                _groupModes = _groupModes.SetItem(group, mode);
            }
            else
            {
                _mode = mode;
                _groupModes = _groupModes.Clear();
            }
        }
    }

    /// <summary>The mode that holds for a group.</summary>
    public PlannerMode ModeOf(int groupId)
    {
        lock (_modeLock)
        {
            return _groupModes.TryGetValue(groupId, out var own) ? own : _mode;
        }
    }

    /// <summary>Releases a proposed plan; it is carried out, after the guard's check, in the next round.</summary>
    /// <returns>Null when it was approved, else why not.</returns>
    public ShardProxyError? Approve(int planId)
    {
        if (_plans.TryAdvance(planId, [PlanState.Proposed], PlanState.Approved, "", _time.GetUtcNow()) is not null)
        {
            return null;
        }

        return _plans.Find(planId) is { } plan
            ? new ShardProxyError("55000", "SHP-651", $"plan {planId} can no longer be approved", "Look at SHOW PLANS for the newest one.", $"Its state is {plan.State}.")
            : new ShardProxyError("42704", "SHP-650", $"plan {planId} does not exist", "SHOW PLANS lists the plans that are kept.");
    }

    /// <summary>One round: forecasts, views and, where a group's mode asks for it, a plan and its first move.</summary>
    /// <returns>What carries out the plan; completed when nothing is being done.</returns>
    public Task RunOnceAsync(CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        var table = _currentTable();
        _ledger.See(table, _bytesOf, now);
        var (forecasts, bases, bin, nodes) = _load.Read(history =>
        {
            var end = history.BinOf(now);
            var bins = _options.Forecast.Seasons.IsEmpty ? 4 : Math.Min(4, _options.Forecast.Seasons[0]);
            return (
                _forecaster.Forecast(history, table, end),
                table.Nodes.ToDictionary(n => n.Id, n => history.UnattributedSeries(n.Id, end).RecentMean(bins)),
                history.LastObserved(end),
                history.LastObserved(end) is { } last ? history.NodesAt(last) : []);
        });
        var input = InputOf(now, table, forecasts, bases);
        var view = _views.Build(now, table, input, _planner.NodeForecasts(input), bin, nodes, _load);
        if (_execution.IsCompleted)
        {
            view = Decide(input, view, now, cancellationToken);
        }

        Volatile.Write(ref _view, view);
        return _execution;
    }

    /// <summary>Stops the timer and waits for the round and the step that are under way.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        await _execution.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task LoopAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(_options.PlanInterval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
            {
                try
                {
                    _ = RunOnceAsync(cancellationToken);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    Log.RoundFailed(_logger, e);
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked to stop.
        }
    }

    private PlannerView Decide(PlacementInput input, PlannerView view, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (_plans.Plans.FirstOrDefault(p => p.State == PlanState.Approved) is { } approved)
        {
            Run(approved, cancellationToken);
            return view;
        }

        if (input.Ranges.All(r => ModeOf(r.Forecast.Range.GroupId) == PlannerMode.Off))
        {
            _plans.Withdraw(now, "the planner was switched off");
            return view with { LastFinding = "the planner is off" };
        }

        var plan = _planner.Plan(input);
        if (plan.IsEmpty)
        {
            _plans.Withdraw(now, plan.Reason);
            return view with { LastFinding = plan.Reason, Notices = plan.Notices };
        }

        var proposed = _plans.Propose(plan);
        var first = proposed.Steps.First(s => s.Kind == PlanStepKind.Move);
        if (ModeOf(first.GroupId) == PlannerMode.Automatic)
        {
            Run(proposed, cancellationToken);
        }

        return view with { LastFinding = plan.Reason, Notices = plan.Notices };
    }

    private void Run(PlacementPlan plan, CancellationToken cancellationToken)
    {
        Log.Carrying(_logger, plan.Id, plan.Reason);
        _execution = Task.Run(
            async () =>
            {
                var done = await _runner.RunAsync(plan, cancellationToken).ConfigureAwait(false);
                _ledger.See(_currentTable(), _bytesOf, _time.GetUtcNow());
                Log.Ended(_logger, plan.Id, done.State, done.Outcome);
            },
            CancellationToken.None);
    }

    private PlacementInput InputOf(DateTimeOffset now, RoutingTable table, ImmutableArray<RangeForecast> forecasts, Dictionary<int, double> bases)
    {
        var busy = table.Moves.Where(m => m.IsUnderWay).SelectMany(m => new[] { m.SourceNodeId, m.TargetNodeId }).ToHashSet();
        return new PlacementInput
        {
            Now = now,
            Epoch = table.Epoch,
            Nodes = [.. table.Nodes.OrderBy(n => n.Id).Select(n => new NodeSupply(n.Id, n.Name, n.Capacity, bases[n.Id], !busy.Contains(n.Id)))],
            Ranges = [.. forecasts.Select(f => new RangeDemand(
                f, _bytesOf(f.Range), table.MoveOf(f.Range.Id) is not { IsUnderWay: true } && ModeOf(f.Range.GroupId) != PlannerMode.Off))],
            PastMoves = _ledger.Moves,
            RunningMoves = table.Moves.Count(m => m.IsUnderWay),
        };
    }

    private static partial class Log
    {
        [LoggerMessage(5610, LogLevel.Information, "Plan {PlanId} is carried out: {Reason}")]
        public static partial void Carrying(ILogger logger, int planId, string reason);

        [LoggerMessage(5611, LogLevel.Information, "Plan {PlanId} ended as {State}: {Outcome}")]
        public static partial void Ended(ILogger logger, int planId, PlanState state, string outcome);

        [LoggerMessage(5612, LogLevel.Error, "A planning round failed; the next one starts afresh")]
        public static partial void RoundFailed(ILogger logger, Exception exception);
    }
}
