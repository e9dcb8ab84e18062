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

    public MigrationContext(
        MigrationJournalEntry journal, CatalogState state, NodeConnections connections, RoutingCatalog catalog, IProxyFleet fleet, MigrationOptions options)
    {
        Journal = journal;
        Connections = connections;
        Catalog = catalog;
        Fleet = fleet;
        Options = options;
        Jitter = new Random(options.Seed ^ journal.Record.Id);
        Source = state.Nodes.Single(n => n.Id == journal.Record.SourceNodeId);
        Target = state.Nodes.Single(n => n.Id == journal.Record.TargetNodeId);
        Range = state.FindRange(RangeId) ?? throw new ShardProxyException(ControlErrors.RangeUnknown(RangeId));
        var group = state.Groups.Single(g => g.Id == Range.GroupId);
        Tables = [.. state.Tables.Where(t => t.GroupId == group.Id && t.Placement == TablePlacement.Sharded).Select(t => new MigrationTable(t, Range, group))];
    }

    public int Id => Journal.Record.Id;

    public int RangeId => Journal.Record.RangeId;

    public MigrationJournalEntry Journal { get; }

    public NodeConnections Connections { get; }

    public RoutingCatalog Catalog { get; }

    public IProxyFleet Fleet { get; }

    public MigrationOptions Options { get; }

    public Random Jitter { get; }

    public TimeProvider Time => Connections.Time;

    public Node Source { get; }

    public Node Target { get; }

    /// <summary>The process stops: what is undecided stays so, behind closed gates, until the next start.</summary>
    public CancellationToken StopToken { get; init; }

    /// <summary>The range as it was when the migration began; only its bounds are used.</summary>
    public ShardRange Range { get; }

    public ImmutableArray<MigrationTable> Tables { get; }

    /// <summary>Rows copied so far; read by SHOW MIGRATIONS between two journal entries.</summary>
    public MigrationProgress Progress { get; } = new();

    public Node NodeOf(int nodeId) => nodeId == Source.Id ? Source : nodeId == Target.Id ? Target : throw new ArgumentOutOfRangeException(nameof(nodeId));

    public int NextMarker() => Interlocked.Increment(ref _lastMarker);

    /// <summary>Journals the next step before it is done.</summary>
    public ValueTask EnterAsync(MigrationState state, string step, CancellationToken cancellationToken) =>
        Journal.WriteAsync(
            r => r with
            {
                State = state,
                Step = step,
                RowsDone = Progress.RowsDone,
                RowsTotal = Progress.RowsTotal,
                RowsVerified = Progress.RowsVerified,
                UpdatedAt = Time.GetUtcNow(),
            },
            cancellationToken);

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
        state.FindMove(Id) is { Phase: MovePhase.Releasing } move ? state.WithMove(Id, move with { Phase = MovePhase.Ghosts }) : null;

    /// <summary>Waits between tries, with jitter, so that two migrations do not step on each other for ever.</summary>
    public Task BackOffAsync(int attempt, TimeSpan first, TimeSpan longest, CancellationToken cancellationToken)
    {
        var milliseconds = Math.Min(first.TotalMilliseconds * Math.Pow(1.6, Math.Min(attempt, 30)), longest.TotalMilliseconds);
        return Task.Delay(TimeSpan.FromMilliseconds(milliseconds * (0.5 + (Jitter.NextDouble() * 0.5))), Time, cancellationToken);
    }
}
