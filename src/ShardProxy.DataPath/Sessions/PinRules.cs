using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Which statements leave state on a server that cannot be carried to another: the session keeps that server for itself from then on.
/// </summary>
internal static class PinRules
{
    /// <summary>The function that sets any run-time parameter.</summary>
    public const string SetConfig = "set_config";

    private static readonly HashSet<string> PinningFunctions = new(StringComparer.Ordinal)
    {
        "pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared", SetConfig, "setseed", "currval", "lastval",
        "lo_open", "pg_logical_emit_message", "pg_backend_pid", "pg_stat_force_next_flush",
    };

    /// <summary>The reason to pin, or null.</summary>
    public static string? Reason(StatementShape shape) => shape.Kind switch
    {
        StatementKind.Prepare or StatementKind.Execute => "SQL PREPARE",
        StatementKind.Listen => "LISTEN",
        StatementKind.DeclareCursor => "cursor",
        StatementKind.CreateTable when shape.Utility is { IsTemporary: true } => "temporary table",
        StatementKind.Unparsable or StatementKind.Other => "statement with unknown session state",
        StatementKind.OtherDdl when shape.Utility is { IsTemporary: true } => "temporary object",
        _ => Function(shape),
    };

    private static string? Function(StatementShape shape)
    {
        foreach (var function in shape.Functions)
        {
            if (PinningFunctions.Contains(function.Name))
            {
                return function.Name;
            }
        }

        return null;
    }
}
