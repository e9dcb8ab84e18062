using System.Collections.Frozen;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Which statements may leave state on their server that the next session must not meet, and which may end it. A server on which such a
/// statement has run is asked before it goes back to its pool (<see cref="StateProbe"/>).
/// </summary>
internal static class StateRules
{
    /// <summary>The function that sets any run-time parameter.</summary>
    public const string SetConfig = "set_config";

    private static readonly FrozenDictionary<string, StateKinds> Stateful = new Dictionary<string, StateKinds>(StringComparer.Ordinal)
    {
        [SetConfig] = StateKinds.Settings,
        ["pg_advisory_lock"] = StateKinds.AdvisoryLocks,
        ["pg_advisory_lock_shared"] = StateKinds.AdvisoryLocks,
        ["pg_try_advisory_lock"] = StateKinds.AdvisoryLocks,
        ["pg_try_advisory_lock_shared"] = StateKinds.AdvisoryLocks,
        ["pg_advisory_unlock"] = StateKinds.AdvisoryLocks,
        ["pg_advisory_unlock_shared"] = StateKinds.AdvisoryLocks,
        ["pg_advisory_unlock_all"] = StateKinds.AdvisoryLocks,
        // What is asked for is this server's.
        ["pg_backend_pid"] = StateKinds.Server,
        ["pg_stat_force_next_flush"] = StateKinds.Server,
        ["setval"] = StateKinds.Sequences,
        ["setseed"] = StateKinds.Lasting,
        ["pg_backup_start"] = StateKinds.Lasting,
        ["pg_replication_origin_session_setup"] = StateKinds.Lasting,

        // They run SQL that is given to them as text.
        ["query_to_xml"] = StateKinds.Anything,
        ["query_to_xmlschema"] = StateKinds.Anything,
        ["query_to_xml_and_xmlschema"] = StateKinds.Anything,
        ["cursor_to_xml"] = StateKinds.Anything,
        ["ts_rewrite"] = StateKinds.Anything,
        ["ts_stat"] = StateKinds.Anything,

        // Connections of their own, by name.
        ["dblink_connect"] = StateKinds.Lasting,
        ["dblink_connect_u"] = StateKinds.Lasting,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>The kinds of state that have to be looked for once the statement has run.</summary>
    public static StateKinds After(StatementShape shape)
    {
        var kinds = shape.Kind switch
        {
            StatementKind.Prepare or StatementKind.Deallocate => StateKinds.Prepared,
            StatementKind.Execute => StateKinds.Anything,
            StatementKind.Explain or StatementKind.CreateTable when shape.Prepared is not null => StateKinds.Anything,
            StatementKind.Listen or StatementKind.Unlisten => StateKinds.Listening,
            StatementKind.DeclareCursor => IsHoldable(shape) ? StateKinds.Cursors : StateKinds.None,
            StatementKind.Close => StateKinds.Cursors,
            StatementKind.Discard => StateKinds.Temporary,

            // Also without the word TEMPORARY: the search_path may begin with pg_temp.
            StatementKind.CreateTable or StatementKind.OtherDdl or StatementKind.DropTable => StateKinds.Temporary,
            StatementKind.SetVariable => shape.Variable is null ? StateKinds.Settings : StateKinds.None,
            StatementKind.Other when shape.Text.StartsWith("load", StringComparison.OrdinalIgnoreCase) => StateKinds.Lasting,

            // They run no code but triggers, and a question in the block would take the snapshot that they do not (SET CONSTRAINTS, CHECKPOINT).
            StatementKind.Other when shape.Text.StartsWith("set", StringComparison.OrdinalIgnoreCase) || shape.Text.StartsWith("checkpoint", StringComparison.OrdinalIgnoreCase) => StateKinds.None,
            StatementKind.Unparsable or StatementKind.Other => StateKinds.Anything,
            _ => StateKinds.None,
        };
        foreach (var function in shape.Functions)
        {
            kinds |= After(function);
        }

        return kinds;
    }

    /// <summary>The kinds of state a statement is meant to leave: shown at once, before anybody has looked.</summary>
    public static StateKinds Meant(StatementShape shape)
    {
        var kinds = shape.Kind switch
        {
            StatementKind.Prepare => StateKinds.Prepared,
            StatementKind.Listen => StateKinds.Listening,
            StatementKind.DeclareCursor when IsHoldable(shape) => StateKinds.Cursors,
            StatementKind.CreateTable or StatementKind.OtherDdl when shape.Utility is { IsTemporary: true } => StateKinds.Temporary,
            StatementKind.Other when shape.Text.StartsWith("load", StringComparison.OrdinalIgnoreCase) => StateKinds.Lasting,
            _ => StateKinds.None,
        };
        foreach (var function in shape.Functions)
        {
            if (Stateful.TryGetValue(function.Name, out var known) && known is StateKinds.AdvisoryLocks or StateKinds.Lasting or StateKinds.Sequences or StateKinds.Server)
            {
                kinds |= known;
            }
        }

        return kinds;
    }

    /// <summary>Words for SHOW SESSIONS.</summary>
    public static string Describe(StateKinds kinds)
    {
        if ((kinds & (kinds - 1)) != 0)
        {
            return string.Join(", ", Enum.GetValues<StateKinds>().Where(k => k != StateKinds.None && (k & (k - 1)) == 0 && (kinds & k) != 0).Select(Describe));
        }

        return kinds switch
        {
            StateKinds.Temporary => "temporary table",
            StateKinds.Listening => "LISTEN",
            StateKinds.AdvisoryLocks => "advisory lock",
            StateKinds.Cursors => "cursor",
            StateKinds.Prepared => "SQL PREPARE",
            StateKinds.Lasting => "state until disconnect",
            StateKinds.Sequences => "sequence values",
            StateKinds.Server => "server process",
            _ => "",
        };
    }

    private static StateKinds After(FunctionUse function) =>
        Stateful.TryGetValue(function.Name, out var known) ? known
        : function.Schema is null or "pg_catalog" && BuiltinFunctions.Contains(function.Name) ? StateKinds.None
        : StateKinds.Anything;

    private static bool IsHoldable(StatementShape shape) => shape.Text.Contains("hold", StringComparison.OrdinalIgnoreCase);
}
