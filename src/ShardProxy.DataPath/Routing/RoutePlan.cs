using System.Collections.Immutable;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>How a statement shape is carried out, before any key value is known.</summary>
internal enum RouteKind
{
    /// <summary>On one node that every statement without placed tables may use: the home node.</summary>
    Home,

    /// <summary>Reads replicated tables only: any node has the answer.</summary>
    AnyNode,

    /// <summary>On the node that owns the keys.</summary>
    ByKey,

    /// <summary>A write to replicated tables: all nodes, the home node first so that row locks are taken in one order.</summary>
    ReplicatedWrite,

    /// <summary>DDL, TRUNCATE: all nodes in one distributed transaction.</summary>
    BroadcastInTransaction,

    /// <summary>VACUUM, CREATE INDEX CONCURRENTLY: all nodes one after another, outside a transaction block.</summary>
    BroadcastOutside,

    /// <summary>Plain aggregates over all nodes, combined by the proxy.</summary>
    Aggregate,

    /// <summary>A SELECT whose answer is the rows of several nodes together, in no order.</summary>
    Scatter,

    /// <summary>Any SELECT: the rows it may need are gathered from all nodes, and PostgreSQL finishes it on one.</summary>
    Gather,

    /// <summary>INSERT … VALUES with rows of several nodes: each node gets its own.</summary>
    SplitInsert,

    /// <summary>INSERT that leaves its key to a default: the values are made, then it is planned again with them.</summary>
    DefaultKeys,

    /// <summary>INSERT … SELECT: the query's rows are fetched and copied to their nodes.</summary>
    PullInsert,

    /// <summary>UPDATE or DELETE on several nodes, each writing its own rows.</summary>
    NodeWrites,

    /// <summary>INSERT, UPDATE, DELETE or MERGE on the nodes of its target, with the rows it reads from elsewhere written into its text.</summary>
    SuppliedWrite,

    /// <summary>A statement with writes in its WITH: one part after another, each where its rows are.</summary>
    WritingWith,

    /// <summary>UPDATE of the shard key that takes rows to another node.</summary>
    MoveRows,

    /// <summary>DECLARE, EXPLAIN or COPY TO of a SELECT, or a table, over several nodes.</summary>
    Enclosed,

    /// <summary>CREATE TABLE … AS a SELECT over several nodes: the table is made on the home node, and the rows are copied there.</summary>
    CreateAs,

    /// <summary>COPY FROM STDIN into a sharded table: rows are split by key.</summary>
    CopySharded,

    /// <summary>COPY FROM STDIN into a replicated table: rows go to every node.</summary>
    CopyReplicated,

    Refuse,
}

/// <summary>A side of constants on which a relation's rows lie, for the key columns behind those that equal constants.</summary>
/// <param name="Values">One or more, compared as a row.</param>
/// <param name="Side">Where the rows are.</param>
/// <param name="IsInclusive">Rows that are equal, or begin with the values, count too.</param>
internal sealed record KeyLimit(ImmutableArray<KeySource> Values, BoundSide Side, bool IsInclusive)
{
    public bool Equals(KeyLimit? other) => other is not null && Side == other.Side && IsInclusive == other.IsInclusive && Values.SequenceEqual(other.Values);

    public override int GetHashCode() => HashCode.Combine(Side, IsInclusive, Values.Length);
}

/// <summary>Where one relation's key comes from: a set of alternatives per key column, and in a RANGE group limits of the columns behind.</summary>
/// <param name="Table">The sharded table.</param>
/// <param name="Alternatives">Per key column, in key order, the constants it may equal; at least one each. In a RANGE group perhaps of the first columns only.</param>
/// <param name="IsAssignment">The values are stored (INSERT) rather than compared.</param>
internal sealed record KeyLookup(PlacedTable Table, ImmutableArray<ImmutableArray<KeySource>> Alternatives, bool IsAssignment)
{
    public ImmutableArray<KeyLimit> Limits { get; init; } = [];
}

/// <summary>
/// A statement shape against one state of placement: valid while <see cref="PlacementVersion"/> is the routing table's. Key values
/// are filled in by <see cref="Router"/> for every call.
/// </summary>
internal sealed record RoutePlan
{
    public required long PlacementVersion { get; init; }

    public required RouteKind Kind { get; init; }

    /// <summary>Set for <see cref="RouteKind.Refuse"/>, and for what may turn out to be refused as it runs (<see cref="RouteKind.WritingWith"/>).</summary>
    public ShardProxyError? Refusal { get; init; }

    /// <summary>For <see cref="RouteKind.Gather"/>: its tables are co-located, and each node can answer for its own rows.</summary>
    public bool IsPartial { get; init; }

    /// <summary>How it is carried out when its keys turn out to be on several nodes, or cannot be told; null: not at all.</summary>
    public RoutePlan? Otherwise { get; init; }

    /// <summary>The only nodes that can have rows of sharded tables which matter, by the keys of this call; null when they are not known.</summary>
    public IReadOnlyList<int>? OnlyNodes { get; init; }

    /// <summary>The group of the sharded tables; 0 when there are none.</summary>
    public int GroupId { get; init; }

    /// <summary>Keys to look up: for <see cref="RouteKind.ByKey"/> all must be on one node; those of a write on several nodes tell which; for <see cref="RouteKind.MoveRows"/> the new key.</summary>
    public ImmutableArray<KeyLookup> Lookups { get; init; } = [];

    /// <summary>For <see cref="RouteKind.DefaultKeys"/>.</summary>
    public ImmutableArray<DefaultedKey> DefaultedKeys { get; init; } = [];

    /// <summary>Placed tables named by the statement.</summary>
    public ImmutableArray<PlacedTable> Tables { get; init; } = [];

    /// <summary>May write.</summary>
    public bool IsWrite { get; init; }

    /// <summary>Must not run while a range of the groups moves (TRUNCATE, DDL).</summary>
    public bool WaitsForMoves { get; init; }

    /// <summary>Groups whose rows foreign keys look for or write on every node: must not run while a range of them moves.</summary>
    public ImmutableArray<int> ReferencingGroups { get; init; } = [];

    /// <summary>For DDL that is checked as a broadcast is, but is the home node's alone.</summary>
    public bool IsHomeOnly { get; init; }

    /// <summary>Changes the schema: the catalog's view of tables is refreshed when it is committed.</summary>
    public bool ChangesSchema { get; init; }

    /// <summary>For broadcasts of what tables use: a node that has neither the object nor what it refers to is passed over.</summary>
    public bool IsShared { get; init; }

    /// <summary>For broadcasts: SQL for the nodes other than the home node when it differs from the statement's text.</summary>
    public string? OtherNodesSql { get; init; }

    /// <summary>A placed table is between two placements: wait.</summary>
    public bool IsChanging { get; init; }
}
