using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Errors of a running session (SHP-1xx).</summary>
internal static class SessionErrors
{
    public static readonly ShardProxyError TooManyStatements = new(
        "54000", "SHP-110", "too many prepared statements in this session", "Close statements that are not used, or raise limits.max_prepared_per_client.");

    public static readonly ShardProxyError ConsoleExtended = new(
        "0A000", "SHP-111", "the console takes prepared statements without parameters only", "Send the statement as a simple query.");
}
