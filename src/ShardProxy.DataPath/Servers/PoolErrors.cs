using System.Globalization;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Views;

namespace ShardProxy.DataPath.Servers;

/// <summary>Errors of server connections and pools (SHP-3xx).</summary>
internal static class PoolErrors
{
    /// <summary>What somebody is told who has waited in vain: that all are in use, or why none could be opened.</summary>
    public static ShardProxyError AfterWait(PoolSnapshot pool, TimeSpan waited, ServerUnavailableException? failure) =>
        pool.Leased + pool.Idle > 0 || failure is null ? WaitTimeout(pool, waited) : failure.Error ?? NotReady(pool.Node, failure.ServerMessage, failure.SqlState);

    public static ShardProxyError WaitTimeout(PoolSnapshot pool, TimeSpan waited) => new(
        "53300",
        "SHP-301",
        $"no server connection to node \"{pool.Node}\" became free in time",
        "Raise pool.size or max_connections of the node, shorten transactions, or connect fewer clients.",
        string.Create(CultureInfo.InvariantCulture, $"Waited {waited.TotalMilliseconds:0} ms; {Figures(pool)}"));

    public static ShardProxyError LineFull(PoolSnapshot pool) => new(
        "53300",
        "SHP-140",
        $"too many statements wait for a server connection to node \"{pool.Node}\"",
        "Raise pool.size or pool.max_waiting, shorten transactions, or connect fewer clients.",
        Figures(pool));

    public static readonly ShardProxyError Cancelled = new(
        "57014", "SHP-144", "canceling statement due to user request", "It was waiting for a server connection and was not sent to any node.");

    public static ShardProxyError NotReady(string node, string reason, string sqlState) => new(
        sqlState is "53300" ? "53300" : "57P03",
        "SHP-141",
        $"node \"{node}\" did not accept connections in time",
        "Look at the server's log; if it has too few connections, raise its max_connections or lower pool.max_node_connections.",
        $"The server says: {reason}.");

    public static ShardProxyError NotQuiet(int sessions, TimeSpan waited) => new(
        "55006",
        "SHP-640",
        string.Create(CultureInfo.InvariantCulture, $"{sessions} sessions are still at work; nothing is paused"),
        "SHOW SESSIONS lists them; wait, or end them with KILL.",
        string.Create(CultureInfo.InvariantCulture, $"Waited {waited.TotalMilliseconds:0} ms."));

    public static ShardProxyError TooManyPools(int maximum) => new(
        "53300",
        "SHP-142",
        "too many databases and users are in use at once",
        "Raise pool.max_pools, or use fewer databases and users through this proxy.",
        string.Create(CultureInfo.InvariantCulture, $"All of the {maximum} pools are in use."));

    public static ShardProxyError Closed(string node) => new(
        "57P03", "SHP-302", $"the proxy is shutting down its connections to node \"{node}\"", "Connect again in a moment.");

    public static ShardProxyError Unreachable(string node, string reason) => new(
        "08001",
        "SHP-303",
        $"node \"{node}\" cannot be reached",
        "Check that the server runs and that its host and port in the configuration are right.",
        reason);

    public static ShardProxyError LoginFailed(string node, string reason) => new(
        "08001",
        "SHP-304",
        $"the proxy could not log in to node \"{node}\"",
        "Check the user's password in the proxy's configuration and the node's pg_hba.conf.",
        reason);

    public static ShardProxyError NotEncrypted(string node, string reason) => new(
        "08001",
        "SHP-131",
        $"the connection to node \"{node}\" could not be encrypted",
        "Check the node's ssl settings and certificate, and sslmode and sslrootcert in its URI or node_tls in the configuration.",
        reason);

    public static ShardProxyError NoCredential(string node, string user, string reason) => new(
        "28000",
        "SHP-129",
        $"the proxy has no password or key to log in to node \"{node}\" as user \"{user}\"",
        "Let the role have the same verifier (pg_authid.rolpassword) on every node, or give the proxy its password.",
        reason);

    public static ShardProxyError Lost(string node) => new(
        "08006",
        "SHP-305",
        $"the connection to node \"{node}\" was lost",
        "The statement was not repeated. Retry the transaction.");

    public static ShardProxyError OutcomeUnknown(string node) => new(
        "08007",
        "SHP-306",
        $"the connection to node \"{node}\" was lost and the outcome of the transaction is unknown",
        "Look at the data before repeating the write: it may have been applied.");

    private static string Figures(PoolSnapshot pool) => string.Create(
        CultureInfo.InvariantCulture,
        $"pool of {pool.Maximum} and a reserve of {pool.Reserve}: {pool.Leased} in use, {pool.Idle} idle, {pool.Opening} opening, {pool.Waiting} waiting, the longest for {pool.LongestWaitMs:0} ms; thread pool: {ThreadPool.ThreadCount} threads, {ThreadPool.PendingWorkItemCount} queued.");
}
