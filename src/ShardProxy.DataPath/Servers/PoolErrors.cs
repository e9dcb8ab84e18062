using System.Globalization;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Views;

namespace ShardProxy.DataPath.Servers;

/// <summary>Errors of server connections and pools (SHP-3xx).</summary>
internal static class PoolErrors
{
    public static ShardProxyError WaitTimeout(PoolSnapshot pool, TimeSpan waited) => new(
        "53300",
        "SHP-301",
        $"no server connection to node \"{pool.Node}\" became free in time",
        "Raise pool.size or max_connections of the node, shorten transactions, or connect fewer clients.",
        string.Create(
            CultureInfo.InvariantCulture,
            $"Waited {waited.TotalMilliseconds:0} ms; pool of {pool.Maximum}: {pool.Leased} leased, {pool.Idle} idle, {pool.Opening} opening, {pool.Waiting} waiting; thread pool: {ThreadPool.ThreadCount} threads, {ThreadPool.PendingWorkItemCount} queued."));

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
}
