using System.Collections.Immutable;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Journal;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration;

/// <summary>What every step of one migration works with.</summary>
internal sealed class MigrationContext
{
    private int _lastMarker;
    private string _step = "";

    public MigrationContext(
        MigrationJournalEntry journal, CatalogState state, NodeConnections connections, RoutingCatalog catalog, IProxyFleet fleet, MigrationOptions options)
    {
        Journal = journal;
        Connections = connections;
        Catalog = catalog;
        Fleet = fleet;
        Options = options;
        Jitter = new Random(options.Seed ^ journal.Record.Id);
        Names = new MigrationNames(state.ClusterTag, journal.Record.Id, journal.Record.Attempt);
        Source = state.Nodes.Single(n => n.Id == journal.Record.SourceNodeId);
        Target = state.Nodes.Single(n => n.Id == journal.Record.TargetNodeId);
        Range = state.FindRange(RangeId) ?? throw new ShardProxyException(ControlErrors.RangeUnknown(RangeId));
        var group = state.Groups.Single(g => g.Id == Range.GroupId);
        Partitioned = [.. state.Tables.Where(t => t.GroupId == group.Id && t.Placement == TablePlacement.Sharded && t.IsPartitioned).Select(t => t.Name)];
        Tables = [.. state.Tables.Where(t => t.GroupId == group.Id && t.Placement == TablePlacement.Sharded && !t.IsPartitioned).Select(t => new MigrationTable(t, Range, group))];
    }

    public int Id => Journal.Record.Id;

    public int RangeId => Journal.Record.RangeId;

    public MigrationNames Names { get; }

    public MigrationJournalEntry Journal { get; }

    /// <summary>Called before each step; tests make it fail.</summary>
    public Func<string, Task> BeforeStep { get; init; } = _ => Task.CompletedTask;

    public NodeConnections Connections { get; }

    public RoutingCatalog Catalog { get; }

    public IProxyFleet Fleet { get; }

    public MigrationOptions Options { get; }

    public Random Jitter { get; }

    public TimeProvider Time => Connections.Time;

    /// <summary>Where the range was before the migration.</summary>
    public Node Source { get; }

    /// <summary>Where the migration brings it.</summary>
    public Node Target { get; }

    /// <summary>The range is on its way back: the same protocol with the roles exchanged.</summary>
    public bool IsBackward => Journal.Record.IsBackward;

    /// <summary>The node that owns the range until the cutover at hand.</summary>
    public Node From => IsBackward ? Target : Source;

    /// <summary>The node that the cutover at hand makes the owner.</summary>
    public Node To => IsBackward ? Source : Target;

    /// <summary>The way back is kept open after the cutover.</summary>
    public bool IsReversible => Options.RollbackWindow > TimeSpan.Zero && !Journal.Record.WithoutWindow;

    /// <summary>Slot and publication on <see cref="From"/>, subscription on <see cref="To"/>.</summary>
    public string StreamName => IsBackward ? Names.ReverseStream : Names.Stream;

    /// <summary>The process stops: what is undecided stays so, behind closed gates, until the next start.</summary>
    public CancellationToken StopToken { get; init; }

    /// <summary>The range as it was when the migration began; only its bounds are used.</summary>
    public ShardRange Range { get; }

    /// <summary>Those that have rows: of a partitioned table, its partitions, each one a table to PostgreSQL's triggers, publications and scans.</summary>
    public ImmutableArray<MigrationTable> Tables { get; }

    /// <summary>The group's partitioned tables, whose partitions are among <see cref="Tables"/>.</summary>
    public ImmutableArray<QualifiedName> Partitioned { get; }

    /// <summary>Rows copied so far; read by SHOW MIGRATIONS between two journal entries.</summary>
    public MigrationProgress Progress { get; } = new();

    public Node NodeOf(int nodeId) => nodeId == Source.Id ? Source : nodeId == Target.Id ? Target : throw new ArgumentOutOfRangeException(nameof(nodeId));

    public int NextMarker() => Interlocked.Increment(ref _lastMarker);

    /// <summary>Journals the next step before it is done.</summary>
    /// <param name="state">Which state it belongs to.</param>
    /// <param name="step">Its name, for people and for tests.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <param name="change">What else the journal has to know from here on.</param>
    public async Task EnterAsync(MigrationState state, string step, CancellationToken cancellationToken, Func<MigrationRecord, MigrationRecord>? change = null)
    {
        await LeaveAsync();
        await Journal.WriteAsync(
            r => (change?.Invoke(r) ?? r) with
            {
                State = state,
                Step = step,
                RowsDone = Progress.RowsDone,
                RowsTotal = Progress.RowsTotal,
                RowsVerified = Progress.RowsVerified,
                UpdatedAt = Time.GetUtcNow(),
            },
            cancellationToken);
        _step = step;
        await BeforeStep(step);
        await (Options.AtStep?.Invoke(Id, step, false) ?? Task.CompletedTask);
    }

    /// <summary>The last step is done and the next not begun.</summary>
    public async Task LeaveAsync()
    {
        if (_step.Length > 0 && Options.AtStep is { } atStep)
        {
            await atStep(Id, _step, true);
        }

        _step = "";
    }

    /// <summary>Runs a step with a deadline of its own.</summary>
    /// <exception cref="ShardProxyException">SHP-510 when it did not end in time.</exception>
    public async Task WithinAsync(TimeSpan limit, string step, Func<CancellationToken, Task> run, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(limit, Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            await run(both.Token);
        }
        catch (Exception e) when (deadline.IsCancellationRequested && !cancellationToken.IsCancellationRequested && e is OperationCanceledException)
        {
            throw new ShardProxyException(ControlErrors.StepTimedOut(step, limit), e);
        }
    }

    /// <summary>Publishes the state and insists on the barrier: statements begun earlier have ended in every proxy.</summary>
    public Task PublishBarrierAsync(CatalogState state, CancellationToken cancellationToken) => WithinAsync(
        Options.BarrierDeadline,
        "ghost barrier",
        async ct =>
        {
            var table = state.ToRoutingTable();
            while (true)
            {
                var reports = await Fleet.PublishAsync(table, DrainScope.EarlierStatements, TimeSpan.FromSeconds(1), ct);
                if (reports.All(r => r.IsDrained))
                {
                    return;
                }

                // A later epoch may be out by now; publishing an older one again would be wrong.
                table = (await Catalog.LoadAsync(ct)).ToRoutingTable();
                ct.ThrowIfCancellationRequested();
            }
        },
        cancellationToken);

    /// <summary>The end of a hold: the gate of the range's owner is open.</summary>
    public CatalogState? Release(CatalogState state) =>
        state.FindMove(Id) is { Phase: MovePhase.Releasing } move
            ? state.WithMove(Id, move with { Phase = IsReversible && !IsBackward && state.FindRange(RangeId)?.NodeId == Target.Id ? MovePhase.Reversible : MovePhase.Ghosts, AllowsReadAhead = move.AllowsReadAhead && !IsBackward && state.FindRange(RangeId)?.NodeId == Source.Id })
            : null;

    /// <summary>Waits between tries, with jitter, so that two migrations do not step on each other for ever.</summary>
    public Task BackOffAsync(int attempt, TimeSpan first, TimeSpan longest, CancellationToken cancellationToken)
    {
        var milliseconds = Math.Min(first.TotalMilliseconds * Math.Pow(1.6, Math.Min(attempt, 30)), longest.TotalMilliseconds);
        return Task.Delay(TimeSpan.FromMilliseconds(milliseconds * (0.5 + (Jitter.NextDouble() * 0.5))), Time, cancellationToken);
    }
}
