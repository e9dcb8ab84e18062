using System.Collections.Immutable;
using ShardProxy.Admin.Backend;
using ShardProxy.Model.Plans;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Model.Views;

namespace ShardProxy.Unit.Tests.Admin;

/// <summary>
/// A backend with two nodes, one group of four ranges (one of them moving) and fixed figures, that notes what it is asked to do.
/// </summary>
internal sealed class AdminFixture : ITopologyView, IShardingOperations, IMigrationView, IDriftView, IHealthView, IFleetView, IPlannerView, IDataPlaneView, IRangeStatistics, IConfigView, IProxyControl
{
    public static readonly DateTimeOffset Noon = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    private const long Quarter = 1L << 62;

    public AdminFixture() => Backend = new AdminBackend
    {
        Topology = this,
        Operations = this,
        Migrations = this,
        Drift = this,
        Health = this,
        Fleet = this,
        Planner = this,
        DataPlane = this,
        RangeStatistics = this,
        Config = this,
        Proxy = this,
        Product = new ProductInfo("9.8.7", "proxy-a", ".NET 10", Noon),
    };

    public AdminBackend Backend { get; }

    /// <summary>What the console asked for, in order.</summary>
    public List<string> Asked { get; } = [];

    /// <summary>What the next operation does instead of succeeding.</summary>
    public Func<CancellationToken, ValueTask<OperationOutcome>>? Operation { get; set; }

    public ImmutableArray<MigrationSnapshot> MigrationList { get; set; } =
        [new(5, "accounts", 3, 1, 2, MigrationState.Copying, 250, 1_000, 1.5, 0, null, null), new(4, "accounts", 2, 1, 2, MigrationState.Done, 900, 900, null, 900, 12.25, null)];

    public ImmutableArray<LoadSnapshot> LoadList { get; set; } =
        [new(LoadSubject.Node, 1, 100, 0.5, 200, 3_000, 0.25, Noon), new(LoadSubject.Range, 2, 40, 0.25, 80, 900, 0.125, Noon)];

    public ImmutableArray<ForecastSnapshot> ForecastList { get; set; } =
        [new(2, 1, Noon, 50, 40, 60, "seasonal"), new(1, 1, Noon, 10, 5, 15, "naive"), new(1, 2, Noon.AddMinutes(5), 11, 5, 18, "naive")];

    public ImmutableArray<SessionSnapshot> SessionList { get; set; } =
        [new(7, "app", "alice", "127.0.0.1:5", "psql", "idle", "", false, "", Noon, Noon, 3), new(8, "app", "bob", "127.0.0.1:6", "x", "idle", "", true, "temp table", Noon, Noon, 4)];

    public PlannerMode Mode { get; private set; } = PlannerMode.Advise;

    public RoutingTable Current { get; set; } = Table();

    public static RoutingTable Table() => new(
        epoch: 17,
        placementVersion: 3,
        [new Node(1, "node1", "127.0.0.1", 5001, 0, IsHome: true), new Node(2, "node2", "127.0.0.1", 5002, 500, IsHome: false)],
        [
            new TableGroup(1, "accounts", ShardingMethod.Hash, [KeyType.Int8],
            [
                new ShardRange(1, 1, long.MinValue, -Quarter, 1), new ShardRange(2, 1, -Quarter, 0, 1),
                new ShardRange(3, 1, 0, Quarter, 1), new ShardRange(4, 1, Quarter, null, 2),
            ]),
        ],
        [
            new PlacedTable
            {
                Name = new QualifiedName("public", "accounts"), Placement = TablePlacement.Sharded, GroupId = 1, KeyColumns = [0],
                Columns = [new TableColumn("id", 20, -1, true, false), new TableColumn("note", 25, -1, false, false)],
            },
            new PlacedTable
            {
                Name = new QualifiedName("public", "countries"), Placement = TablePlacement.Replicated, GroupId = 0, KeyColumns = [],
                Columns = [new TableColumn("code", 25, -1, true, false)],
            },
        ],
        [new RangeMove(5, 1, 3, 1, 2, MovePhase.Ghosts)],
        [],
        []);

    public NodeState StateOf(int nodeId) => nodeId == 1 ? NodeState.Up : NodeState.Down;

    public ValueTask<OperationOutcome> ShardTableAsync(ShardTableRequest request, CancellationToken cancellationToken) =>
        Note($"shard {request.Table.Schema}/{request.Table.Name} by {string.Join('+', request.KeyColumns)} with {request.ColocateWith?.ToString() ?? "none"} wait {request.Wait}", cancellationToken);

    public ValueTask<OperationOutcome> ReplicateTableAsync(QualifiedName table, bool wait, CancellationToken cancellationToken) =>
        Note($"replicate {table.Schema}/{table.Name} wait {wait}", cancellationToken);

    public ValueTask<OperationOutcome> SplitRangeAtKeyAsync(int rangeId, ImmutableArray<string> key, CancellationToken cancellationToken) =>
        Note($"split {rangeId} at key {string.Join(", ", key)}", cancellationToken);

    public ValueTask<OperationOutcome> MergeRangesAsync(int firstId, int secondId, CancellationToken cancellationToken) => Note($"merge {firstId} and {secondId}", cancellationToken);

    public ValueTask<OperationOutcome> SplitRangeAsync(int rangeId, long at, CancellationToken cancellationToken) => Note($"split {rangeId} at {at}", cancellationToken);

    public ValueTask<OperationOutcome> MoveRangeAsync(int rangeId, string nodeName, bool wait, CancellationToken cancellationToken) =>
        Note($"move {rangeId} to {nodeName} wait {wait}", cancellationToken);

    public ValueTask<OperationOutcome> CancelMigrationAsync(int migrationId, CancellationToken cancellationToken) => Note($"cancel {migrationId}", cancellationToken);

    public ValueTask<OperationOutcome> UnshardTableAsync(QualifiedName table, bool wait, CancellationToken cancellationToken) => Note($"unshard {table.Name} wait {wait}", cancellationToken);

    public ValueTask<OperationOutcome> RollbackMigrationAsync(int migrationId, bool wait, CancellationToken cancellationToken) => Note($"rollback {migrationId} wait {wait}", cancellationToken);

    public ImmutableArray<MigrationSnapshot> Migrations() => MigrationList;

    public ImmutableArray<ProxySnapshot> Proxies() => [new("proxy1", "127.0.0.1:6432", true, true, "serving", 7, 0), new("proxy2", "127.0.0.1:6434", false, false, "silent", 6, 4.2)];

    public ImmutableArray<SlotHealth> Slots() => [new("node1", "shardproxy_5", true, 3_000_000, 2_000), new("node2", "shardproxy_5", false, 7, 7)];

    ImmutableArray<NodeHealth> IHealthView.Nodes() => [new("node1", 2, 512, 1.5, 3, 42.5), new("node2", 0, 0, null, 0, 0)];

    public ImmutableArray<MigrationHealth> Moves() => [new(5, 3, "copying", 12.5)];

    public ImmutableArray<DriftSnapshot> Drift() => [new(new QualifiedName("public", "orders"), "node2", "index orders_at is missing on node node2")];

    public ValueTask SetModeAsync(PlannerMode mode, string? group, CancellationToken cancellationToken)
    {
        Mode = mode;
        Asked.Add($"mode {mode} for {group ?? "all"}");
        return ValueTask.CompletedTask;
    }

    public ValueTask ApprovePlanAsync(int planId, CancellationToken cancellationToken)
    {
        Asked.Add($"approve {planId}");
        return ValueTask.CompletedTask;
    }

    public ImmutableArray<LoadSnapshot> Load() => LoadList;

    public ImmutableArray<ForecastSnapshot> Forecasts() => ForecastList;

    public ImmutableArray<ForecastScore> Scores() => [new(1, 2, 3, 10), new(2, 9, 9, 0)];

    public ImmutableArray<PlanSnapshot> Plans() =>
        [new(6, Noon, PlannerMode.Advise, "advised", ["move range 2 to node2"], "node1 will be overloaded", ["node1 100 -> 60"])];

    public ImmutableArray<SessionSnapshot> Sessions() => SessionList;

    public ImmutableArray<PoolSnapshot> PoolList { get; set; } =
        [new("node1", "app", "alice", 1, 2, 0, 3, 20, 9, 4.5), new("node1", "app", "bob", 4, 0, 1, 0, 20, 0, 0)];

    public ImmutableArray<PoolSnapshot> Pools() => PoolList;

    public ImmutableArray<StatementSnapshot> Statements(int limit) => [new("f00d", "SELECT $1", "ToNode", 10, 1, 10, 5, 0.5, 2)];

    public ImmutableArray<RedirectionSnapshot> RedirectionList { get; set; } =
        [new(Noon, 2, "UPDATE t SET v = $1 WHERE id = $2", "node1", "node2", RedirectionReasons.Held, 12.3456), new(Noon, null, "SELECT $1", "node1", null, RedirectionReasons.HoldTimeout, 60_000)];

    public ImmutableArray<RedirectionSnapshot> Redirections() => RedirectionList;

    public ImmutableArray<string> ExplainRoute(string sql)
    {
        Asked.Add($"explain {sql}");
        return ["to node1", "range 2"];
    }

    public ValueTask<System.Collections.Frozen.FrozenDictionary<int, RangeSize>> SizesAsync(CancellationToken cancellationToken) =>
        new(System.Collections.Frozen.FrozenDictionary.ToFrozenDictionary(new Dictionary<int, RangeSize> { [1] = new(10, 2_000) }));

    public ImmutableArray<ConfigSetting> Settings() => [new("pool.size", "20", "default"), new("listen.port", "6432", "file")];

    public ValueTask PauseAsync(string? database, CancellationToken cancellationToken)
    {
        Asked.Add($"pause {database ?? "all"}");
        return ValueTask.CompletedTask;
    }

    public IReadOnlyList<string> Resume(string? database)
    {
        Asked.Add($"resume {database ?? "all"}");
        return database is null ? [] : [database];
    }

    public ValueTask<ImmutableArray<string>> ReloadAsync(CancellationToken cancellationToken)
    {
        Asked.Add("reload");
        return new(["listen takes effect at the next start"]);
    }

    public bool Kill(long sessionId)
    {
        Asked.Add($"kill {sessionId}");
        return sessionId == 7;
    }

    private async ValueTask<OperationOutcome> Note(string asked, CancellationToken cancellationToken)
    {
        Asked.Add(asked);
        return Operation is null ? new OperationOutcome(42, ["noted"]) : await Operation(cancellationToken);
    }
}
