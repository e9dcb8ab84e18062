using System.Collections.Immutable;

namespace ShardProxy.Model.Views;

/// <summary>One client session, for SHOW SESSIONS. Text never includes values.</summary>
public sealed record SessionSnapshot(
    long Id, string Database, string User, string ClientAddress, string ApplicationName, string State, string Nodes, bool IsPinned,
    string PinReason, DateTimeOffset ConnectedAt, DateTimeOffset StateSince, long Statements)
{
    /// <summary>Since when it waits for a server connection; null when it does not.</summary>
    public DateTimeOffset? WaitingSince { get; init; }

    /// <summary>Age of its open transaction, or null.</summary>
    public double? TransactionMs { get; init; }

    /// <summary>How long its statement has been at work, or null.</summary>
    public double? QueryMs { get; init; }

    /// <summary>The client's connection is encrypted.</summary>
    public bool IsEncrypted { get; init; }
}

/// <summary>One server pool, for SHOW POOLS.</summary>
public sealed record PoolSnapshot(
    string Node, string Database, string User, int Idle, int Leased, int Opening, int Waiting, int Maximum, long WaitedTotal,
    double MaxWaitMs)
{
    /// <summary>Connections kept open while the pool is in use.</summary>
    public int Minimum { get; init; }

    /// <summary>Connections above the maximum for those who have waited long.</summary>
    public int Reserve { get; init; }

    /// <summary>Connections above the maximum now.</summary>
    public int ReserveInUse { get; init; }

    /// <summary>How long the first in line has waited so far.</summary>
    public double LongestWaitMs { get; init; }

    public long Opened { get; init; }

    public long Closed { get; init; }

    /// <summary>Connections that could not be opened.</summary>
    public long Errors { get; init; }

    /// <summary>Leases that gave up waiting.</summary>
    public long Timeouts { get; init; }

    public bool IsPaused { get; init; }

    /// <summary>Its connections finish statements over several nodes, beside the clients' transactions.</summary>
    public bool IsWorkspace { get; init; }
}

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

    /// <summary>The last statements that were held, read ahead or fenced because a range moved; the newest last.</summary>
    ImmutableArray<RedirectionSnapshot> Redirections();

    /// <summary>
    /// The route a statement would take now, as text lines for EXPLAIN ROUTE; runs nothing. Refusals are lines too.
    /// </summary>
    ImmutableArray<string> ExplainRoute(string sql);
}
