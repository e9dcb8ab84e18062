using System.Collections.Immutable;

namespace ShardProxy.Model.Views;

/// <summary>One client session, for SHOW SESSIONS. Text never includes values.</summary>
public sealed record SessionSnapshot(
    long Id, string Database, string User, string ClientAddress, string ApplicationName, string State, string Nodes, bool IsPinned,
    string PinReason, DateTimeOffset ConnectedAt, DateTimeOffset StateSince, long Statements);

/// <summary>One server pool, for SHOW POOLS.</summary>
public sealed record PoolSnapshot(
    string Node, string Database, string User, int Idle, int Leased, int Opening, int Waiting, int Maximum, long WaitedTotal,
    double MaxWaitMs);

/// <summary>One statement shape, for SHOW STATEMENTS. The text is normalised: literals are parameters.</summary>
public sealed record StatementSnapshot(
    string Fingerprint, string Text, string Route, long Calls, long Errors, long Rows, double TotalMs, double MeanMs, double MaxMs);

/// <summary>What the admin side may ask of a data plane: frozen values only.</summary>
public interface IDataPlaneView
{
    ImmutableArray<SessionSnapshot> Sessions();

    ImmutableArray<PoolSnapshot> Pools();

    /// <summary>Shapes with the most calls first, at most <paramref name="limit"/>.</summary>
    ImmutableArray<StatementSnapshot> Statements(int limit);

    /// <summary>
    /// The route a statement would take now, as text lines for EXPLAIN ROUTE; runs nothing. Refusals are lines too.
    /// </summary>
    ImmutableArray<string> ExplainRoute(string sql);
}
