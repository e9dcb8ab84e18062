using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Login;
using ShardProxy.DataPath.Recording;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Console;
using ShardProxy.Model.Fleet;
using ShardProxy.Sql;

namespace ShardProxy.DataPath;

/// <summary>What every session shares. Built once by <see cref="DataPlane"/>.</summary>
internal sealed record DataPathServices(
    LiveOptions Live,
    TimeProvider Time,
    StatementAnalyzer Analyzer,
    RoutingTableHolder Holder,
    ActivityBoard Board,
    BackendPools Pools,
    ServerConnector Connector,
    WorkloadRecorder Recorder,
    CanonicalStatements Canonical,
    DataPathCounters Counters,
    IConsole Console,
    ISchemaObserver SchemaObserver,
    string BootId,
    SequenceBlocks Sequences)
{
    /// <summary>The options in force now.</summary>
    public DataPathOptions Options => Live.Current;

    /// <summary>Backends that clients have ended.</summary>
    public KillWatch Kills { get; } = new(Time);

    /// <summary>What clients do to roles.</summary>
    public required RoleChanges RoleChanges { get; init; }

    /// <summary>Rollback windows that statements wait for.</summary>
    public required MoveWishes MoveWishes { get; init; }

    /// <summary>What every write to a replicated table passes.</summary>
    public ReplicatedWriteGuard ReplicatedWrites { get; } = new();

    /// <summary>Statements that were held, read ahead or fenced.</summary>
    public RedirectionLog Redirections { get; } = new(Time);

    /// <summary>What shadow reads find.</summary>
    public ShadowBoard Shadow { get; } = new();

    /// <summary>Runs a share of the reads of moving ranges again; set once by <see cref="DataPlane"/>.</summary>
    public Shadowing.ShadowReads Shadows { get; set; } = null!;

    /// <summary>As of when the copies of moving ranges hold everything.</summary>
    public ReadAheadBoard ReadAhead { get; } = new(Time);

    /// <summary>Whose names without schema mean schema public.</summary>
    public SearchPath SearchPath { get; } = new();
}
