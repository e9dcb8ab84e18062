using System.Text;
using ShardProxy.DataPath.Servers;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Asks a server what state a session has left on it, once its transaction is over. Parameters that were set by a function become the
/// session's settings, carried like any other; what cannot be carried keeps the server for the session, and its end frees the server.
/// </summary>
internal static class StateProbe
{
    private static readonly (StateKinds Kind, string Condition)[] Conditions =
    [
        (StateKinds.Temporary, "EXISTS (SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 2615 AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())"),
        (StateKinds.Listening, "EXISTS (SELECT FROM pg_catalog.pg_listening_channels())"),
        (StateKinds.AdvisoryLocks, "EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())"),
        (StateKinds.Cursors, "EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)"),
        (StateKinds.Prepared, "EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql)"),
    ];

    // One row a kind that is there, then one a parameter. Role and session user are not among the parameters that are listed.
    private const string SettingsSql = """
        SELECT 's', name, setting FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session'
        UNION ALL SELECT 's', 'role', pg_catalog.current_setting('role')
        UNION ALL SELECT 's', 'session_authorization', pg_catalog.current_setting('session_authorization')
        """;

    /// <summary>
    /// Looks for what is suspected. On return the server's <see cref="ServerConnection.Found"/> is true, or the server is still suspected
    /// where it could not be asked.
    /// </summary>
    /// <exception cref="EndOfStreamException">The server was lost; it is marked broken.</exception>
    public static async ValueTask LookAsync(Session session, ServerConnection server)
    {
        var suspected = server.Suspected & StateKinds.Anything;
        if (suspected != StateKinds.None)
        {
            var result = await SideDialog.RunAsync(server, Question(session, suspected)).ConfigureAwait(false);
            if (!result.IsOk)
            {
                // A statement_timeout of the client's, perhaps: nothing is known, so the server stays with its session.
                return;
            }

            server.Found &= ~suspected;
            server.SqlStatements = (suspected & StateKinds.Prepared) != 0 && !result.Rows.Exists(IsPrepared) ? null : server.SqlStatements;
            foreach (var row in result.Rows)
            {
                if (row is [[(byte)'k'], _, _])
                {
                    server.Found |= (StateKinds)int.Parse(Encoding.ASCII.GetString(row[1]!), System.Globalization.CultureInfo.InvariantCulture);
                }
            }

            if ((suspected & StateKinds.Settings) != 0)
            {
                Adopt(session, server, result.Rows);
            }
        }

        server.Found |= server.Suspected & StateKinds.Lasting;
        server.Suspected = StateKinds.None;
    }

    /// <summary>Reads the parameters that a function may have set inside a block, while the block goes on.</summary>
    /// <exception cref="EndOfStreamException">The server was lost; it is marked broken.</exception>
    public static async ValueTask ReadBlockAsync(Session session)
    {
        var transaction = session.Transaction;
        var server = transaction.SettingsSource!;
        var result = await SideDialog.RunAsync(server, SettingsQuestion(session)).ConfigureAwait(false);
        if (result.IsOk)
        {
            transaction.TakeSettings(Changed(server, result.Rows).Aggregate(SessionSettings.Empty, (all, s) => all.With(s.Name, new SettingValue(s.Value, IsConfigText: true))));
        }
    }

    private static bool IsPrepared(byte[]?[] row) =>
        row is [[(byte)'k'], _, _] && Encoding.ASCII.GetString(row[1]!) == ((int)StateKinds.Prepared).ToString(System.Globalization.CultureInfo.InvariantCulture);

    private static string Question(Session session, StateKinds suspected)
    {
        var sql = new StringBuilder();
        foreach (var (kind, condition) in Conditions)
        {
            if ((suspected & kind) != 0)
            {
                sql.Append(sql.Length > 0 ? " UNION ALL " : "")
                    .Append(System.Globalization.CultureInfo.InvariantCulture, $"SELECT 'k', '{(int)kind}', NULL WHERE {condition}");
            }
        }

        if ((suspected & StateKinds.Settings) != 0)
        {
            // No server lists custom parameters: once those whose names are known have been read, all are taken back, and what the session
            // had before is set again. Almost always that is what it has now, too.
            sql.Append(sql.Length > 0 ? " UNION ALL " : "").Append(SettingsQuestion(session)).Append("; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; ")
                .Append(session.Settings.TransitionFrom(SessionSettings.Empty));
        }

        return sql.ToString();
    }

    private static string SettingsQuestion(Session session)
    {
        var names = session.CustomParameters.Names.Concat(session.Settings.Names.Where(n => n.Contains('.', StringComparison.Ordinal))).Distinct(StringComparer.Ordinal)
            .Select(n => Model.Topology.SqlIdentifier.Literal(n).TrimStart());
        return string.Join(", ", names) is { Length: > 0 } list
            ? $"{SettingsSql} UNION ALL SELECT 's', name, pg_catalog.current_setting(name, true) FROM pg_catalog.unnest(ARRAY[{list}]) AS name"
            : SettingsSql;
    }

    // The server's word replaces the session's, but for parameters that the present user may not see.
    private static void Adopt(Session session, ServerConnection server, List<byte[]?[]> rows)
    {
        var before = session.Settings;
        var settings = before;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (name, value) in Changed(server, rows))
        {
            session.CustomParameters.Set(name, server);
            if (value.Length == 0 && name.Contains('.', StringComparison.Ordinal))
            {
                continue;
            }

            seen.Add(name);
            settings = settings.With(name, new SettingValue(value, IsConfigText: true));
        }

        // What is not listed is the server's default again, unless the present user may not see it.
        foreach (var name in before.Names.Where(n => !seen.Contains(n) && (!settings.ChangesUser || n is SessionSettings.Role or SessionSettings.SessionAuthorization)))
        {
            settings = settings.Without(name);
        }

        // A parameter of the start-up packet that was reset has that value again.
        foreach (var name in session.StartupSettings.Names.Where(n => settings[n] is null))
        {
            settings = settings.With(name, session.StartupSettings[name]!.Value);
        }

        session.CustomParameters.Clear();
        session.Settings = settings;
        server.Settings = before;
    }

    private static IEnumerable<(string Name, string Value)> Changed(ServerConnection server, List<byte[]?[]> rows) => Settings(rows).Where(s => s.Name switch
    {
        SessionSettings.Role => s.Value != "none",
        SessionSettings.SessionAuthorization => s.Value != server.Key.User,
        _ => true,
    });

    private static IEnumerable<(string Name, string Value)> Settings(List<byte[]?[]> rows)
    {
        foreach (var row in rows)
        {
            if (row is [[(byte)'s'], _, { } value] && Encoding.UTF8.GetString(row[1]!).ToLowerInvariant() is var name
                && !name.StartsWith("transaction_", StringComparison.Ordinal))
            {
                yield return (name, Encoding.UTF8.GetString(value));
            }
        }
    }
}
