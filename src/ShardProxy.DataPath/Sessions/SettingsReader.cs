using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Reads a session's settings from the server that has them. The text of a SET does not say what is set then: DateStyle takes one half and keeps
/// the other, a rolled-back SET is undone, a DO block may set anything.
/// </summary>
internal static class SettingsReader
{
    // Lists whose elements are names: each may be quoted in the value, and each has to be given by itself.
    private static readonly HashSet<string> NameLists = new(StringComparer.Ordinal)
    {
        "search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries",
    };

    // Operators by their schema: the client's search_path may have others of these names.
    private const string Sql = """
        SELECT name, setting FROM pg_catalog.pg_settings
        WHERE source OPERATOR(pg_catalog.=) 'session' AND name NOT LIKE 'transaction%'
        UNION ALL SELECT 'role', pg_catalog.current_setting('role') WHERE pg_catalog.current_setting('role') OPERATOR(pg_catalog.<>) 'none'
        UNION ALL SELECT 'session_authorization', session_user WHERE session_user OPERATOR(pg_catalog.<>)
        """;

    /// <summary>
    /// Makes the session's settings what the server says. Call outside a transaction, with nothing owed; does nothing when the session holds no
    /// server that is in order.
    /// </summary>
    public static async ValueTask LearnAsync(Session session)
    {
        session.AreSettingsInDoubt = false;
        if (session.FindHeld(session.HomeNode.Id) is not { IsClean: true } server)
        {
            return;
        }

        DialogResult result;
        try
        {
            result = await SideDialog.RunAsync(server, Query(session)).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            // Nothing of the client's was under way: what is known without it stands.
            Execution.ServerLoss.Drop(session, server);
            return;
        }

        if (!result.IsOk || Read(result, server) is not { } settings)
        {
            session.Pin(server, "settings the proxy cannot read");
            return;
        }

        // What the client had at its start and has reset is brought back to the next server it gets, this one included.
        server.Settings = settings;
        session.Settings = settings.WithMissing(session.StartupSettings);
    }

    private static string Query(Session session)
    {
        var sql = new StringBuilder(Sql).Append(' ').Append(SqlIdentifier.Literal(session.Identity.User));
        foreach (var name in session.CustomSettings ?? [])
        {
            var literal = SqlIdentifier.Literal(name);
            sql.Append(" UNION ALL SELECT ").Append(literal).Append(", pg_catalog.current_setting(").Append(literal).Append(", true)");
        }

        return sql.ToString();
    }

    private static SessionSettings? Read(DialogResult result, ServerConnection server)
    {
        var settings = SessionSettings.Empty;
        var isUtf8 = server.Parameters.GetValueOrDefault("client_encoding") is null or "UTF8";
        foreach (var row in result.Rows)
        {
            if (row[0] is not { } nameBytes || row[1] is not { } valueBytes)
            {
                continue;
            }

            if (!isUtf8 && valueBytes.AsSpan().ContainsAnyInRange((byte)0x80, (byte)0xFF))
            {
                return null;
            }

            var name = Encoding.UTF8.GetString(nameBytes);
            var value = Encoding.UTF8.GetString(valueBytes);

            // The server lists names as they are spelt in its documentation; a session compares them as it folds them.
            settings = settings.With(name.ToLowerInvariant(), NameLists.Contains(name) ? NameList(value) : SqlIdentifier.Literal(value));
        }

        return settings;
    }

    // "$user", public  becomes  '$user', 'public'.
    private static string NameList(string value)
    {
        var elements = new List<string>();
        for (var i = 0; i < value.Length; i++)
        {
            if (value[i] is ' ' or ',')
            {
                continue;
            }

            var element = new StringBuilder();
            if (value[i] == '"')
            {
                for (i++; i < value.Length && (value[i] != '"' || (i + 1 < value.Length && value[i + 1] == '"')); i++)
                {
                    element.Append(value[i]);
                    i += value[i] == '"' ? 1 : 0;
                }
            }
            else
            {
                for (; i < value.Length && value[i] != ','; i++)
                {
                    element.Append(value[i]);
                }
            }

            elements.Add(SqlIdentifier.Literal(element.ToString().TrimEnd(' ')));
        }

        return elements.Count == 0 ? "''" : string.Join(", ", elements);
    }
}
