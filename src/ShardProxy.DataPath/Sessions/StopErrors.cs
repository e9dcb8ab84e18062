using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Sessions;

/// <summary>What ends a session or a statement from outside, with PostgreSQL's SQLSTATEs and wording.</summary>
internal static class StopErrors
{
    public static readonly ShardProxyError IdleInTransaction = new(
        "25P03", "SHP-107", "terminating connection due to idle-in-transaction timeout", "End transactions sooner, or raise limits.idle_in_transaction_timeout_ms.");

    public static readonly ShardProxyError ClientIdle = new(
        "57P05", "SHP-108", "terminating connection due to idle-session timeout", "Connect again, or raise limits.client_idle_timeout_ms.");

    public static readonly ShardProxyError Killed = new(
        "57P01", "SHP-109", "terminating connection due to administrator command", "KILL on the console ended this session.");

    public static readonly ShardProxyError StatementTimeout = new(
        "57014", "SHP-143", "canceling statement due to statement timeout", "Make the statement faster, or raise limits.statement_timeout_ms.");

    public static readonly ShardProxyError Deadlock = new(
        "40P01", "SHP-146", "deadlock detected over several nodes", "Retry the transaction; lock rows in the same order everywhere.");

    /// <summary>What a server says of a statement that somebody has cancelled.</summary>
    public const string Cancelled = "57014";
}
