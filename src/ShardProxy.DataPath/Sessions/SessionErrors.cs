using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Errors of a running session (SHP-1xx).</summary>
internal static class SessionErrors
{
    public static readonly ShardProxyError TooManyStatements = new(
        "54000", "SHP-110", "too many prepared statements in this session", "Close statements that are not used, or raise limits.max_prepared_statements.");

    public static readonly ShardProxyError StatementsTooLarge = new(
        "54000", "SHP-112", "the prepared statements of this session are too large", "Close statements that are not used, or raise limits.max_prepared_bytes.");

    public static readonly ShardProxyError TooManyOpenResults = new(
        "54000",
        "SHP-115",
        "too many cursors and suspended portals over several nodes in this session",
        "Close those that are not used; each keeps a server connection.");

    public static readonly ShardProxyError CursorExists = new(
        "42P03", "SHP-116", "a cursor of that name is open already, on other servers", "Close it, or choose another name.");

    public static readonly ShardProxyError SettingsNotSpread = new(
        "25P02", "SHP-160", "parameters that a function has set in this transaction could not be brought to another node", "Use SET or SET LOCAL instead of the function.");

    public static readonly ShardProxyError SequenceGone = new(
        "0A000",
        "SHP-162",
        "the values this session has drawn from sequences are not at hand any more",
        "Another client has drawn on the same server connection since. Use RETURNING, or ask in the transaction that drew the value.");

    public static ShardProxyError StateLost(string node) => new(
        "57P01",
        "SHP-161",
        $"the connection to node \"{node}\" was lost, and with it state of this session that cannot be had again",
        "Connect again, and set up what the session needs: temporary tables, LISTEN, advisory locks.");

    public static readonly ShardProxyError ConsoleExtended = new(
        "0A000", "SHP-111", "the console takes prepared statements without parameters only", "Send the statement as a simple query.");
}
