using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// SET and RESET. The server checks the value; what it accepts becomes the session's, and is brought to every server the session gets
/// later. Writes the command's reply, no ReadyForQuery. Nothing may be owed when it is called.
/// </summary>
internal static class VariableExecutor
{
    /// <summary>True for verbs this room carries out; SHOW and the rest are ordinary statements.</summary>
    public static bool Handles(VariableSummary variable) => variable.Verb is not (VariableVerb.Show or VariableVerb.ShowAll);

    /// <summary>Runs one SET or RESET given as SQL text.</summary>
    public static async ValueTask RunAsync(Session session, VariableSummary variable, ReadOnlyMemory<byte> text)
    {
        if (IsRefused(variable))
        {
            session.Fail(ExecutionErrors.ConformingStrings);
            return;
        }

        if (ReadStaleness.Refusal(variable) is { } refusal)
        {
            session.Fail(refusal);
            return;
        }

        // On every server of the transaction, else on one.
        var sql = Sql(session, variable, text);
        var servers = session.Transaction.Participants.Count > 0
            ? session.Transaction.Participants.ToArray()
            : [await SessionServers.GetAsync(session, session.Pinned?.Node ?? session.HomeNode).ConfigureAwait(false)];
        DialogResult? last = null;
        foreach (var server in servers)
        {
            try
            {
                last = await SideDialog.RunAsync(server, sql).ConfigureAwait(false);
            }
            catch (EndOfStreamException)
            {
                ServerLoss.Report(session, server, mayHaveWritten: false);
                return;
            }

            if (!last.IsOk)
            {
                session.Fail(last.ErrorPayload!);
                return;
            }
        }

        Remember(session, variable, Encoding.UTF8.GetString(sql.Span), servers);
        last!.WriteNotices(session.Output);
        MessageWriter.CString(session.Output, BackendTag.CommandComplete, variable.Verb is VariableVerb.Reset or VariableVerb.ResetAll ? "RESET" : "SET");
        session.Relay.Tell(servers[^1]);
    }

    /// <summary>Strings would be read in another way than the lexer reads them.</summary>
    public static bool IsRefused(VariableSummary variable) =>
        variable.Name is "standard_conforming_strings" && (variable.Verb is VariableVerb.Set or VariableVerb.SetLocal) && !IsOn(variable.ValueText);

    private static bool IsOn(string? value) => value?.Trim('\'', ' ').ToLowerInvariant() is "on" or "true" or "yes" or "1" or "t" or "y" or "default";

    // The client's own text, but for values it gave at start-up: those are a session's defaults, which the server knows nothing of.
    private static ReadOnlyMemory<byte> Sql(Session session, VariableSummary variable, ReadOnlyMemory<byte> text)
    {
        var startup = session.StartupSettings;
        switch (variable.Verb)
        {
            case VariableVerb.Reset or VariableVerb.SetDefault when startup[variable.Name] is { } value:
                return Encoding.UTF8.GetBytes(SessionSettings.SetSql(variable.Name, value));
            case VariableVerb.SetLocal when variable.ValueText is "DEFAULT" && startup[variable.Name] is { } value:
                return Encoding.UTF8.GetBytes(SessionSettings.SetSql(variable.Name, value, isLocal: true));
            case VariableVerb.ResetAll when !startup.IsEmpty:
                return Encoding.UTF8.GetBytes($"RESET ALL; {startup.TransitionFrom(SessionSettings.Empty)}");
            default:
                return text;
        }
    }

    /// <summary>
    /// Takes a SET or RESET that servers have accepted into the session's truth. After the client's own text (<paramref name="isRaw"/>) a RESET has
    /// taken a server back to its default, not to the start-up packet's: that has to be brought to it again.
    /// </summary>
    public static void Remember(Session session, VariableSummary variable, string sql, IReadOnlyList<ServerConnection> servers, bool isRaw = false)
    {
        var inBlock = session.Transaction.State != BlockState.Idle;
        var settings = session.Settings;
        switch (variable.Verb)
        {
            case VariableVerb.Set when variable.ValueText is null || variable.Name is "seed":
                // A value that cannot be written again is read back; the seed of random() is in no list.
                foreach (var server in servers)
                {
                    Suspect(session, server, variable.Name is "seed" ? StateKinds.Lasting : StateKinds.Settings);
                }

                break;
            case VariableVerb.Set:
                settings = settings.With(variable.Name, variable.ValueText);
                break;
            case VariableVerb.SetDefault or VariableVerb.Reset:
                settings = session.StartupSettings[variable.Name] is { } startup ? settings.With(variable.Name, startup) : settings.Without(variable.Name);
                break;
            case VariableVerb.ResetAll:
                settings = settings.ResetAll(session.StartupSettings);
                break;
            case VariableVerb.SetLocal or VariableVerb.SetTransaction or VariableVerb.SetTransactionSnapshot when !inBlock:
                // Without effect, and the server has said so.
                return;
            case VariableVerb.SetLocal:
                session.Transaction.NoteLocalSetting(variable.Name, variable.ValueText);
                break;
            case VariableVerb.SetSessionCharacteristics:
                settings = Characteristics(settings, variable.ValueText ?? "");
                break;
        }

        if (variable.Name is SessionSettings.SessionAuthorization && variable.Verb != VariableVerb.SetLocal)
        {
            // A new session user has no role.
            settings = settings.Without(SessionSettings.Role);
        }

        if (inBlock)
        {
            session.Transaction.AddSetting(sql.TrimEnd(';', ' '));
        }

        session.Settings = settings;
        foreach (var server in servers)
        {
            server.Settings = !isRaw ? settings : variable.Verb switch
            {
                VariableVerb.Reset or VariableVerb.SetDefault => settings.Without(variable.Name),
                VariableVerb.ResetAll => settings.ResetAll(SessionSettings.Empty),
                _ => settings,
            };
            session.CustomParameters.Set(variable.Name, server);
            if (variable.Name is "datestyle")
            {
                // What is not named keeps its value: only the server knows the whole. It is asked after the transaction, for it would take its
                // snapshot for the question; other nodes of the block get the statement itself.
                server.Suspected |= StateKinds.Settings;
                session.HasSuspicion = true;
            }
        }
    }

    /// <summary>A statement may have left state of some kinds on a server.</summary>
    public static void Suspect(Session session, ServerConnection server, StateKinds kinds)
    {
        server.Suspected |= kinds;
        session.HasSuspicion = true;
        if ((kinds & StateKinds.Settings) != 0 && session.Transaction.State != BlockState.Idle)
        {
            session.Transaction.NoteSettings(server);
        }
    }

    // SET SESSION CHARACTERISTICS sets the defaults of later transactions (PostgreSQL documentation, "SET TRANSACTION").
    private static SessionSettings Characteristics(SessionSettings settings, string modes)
    {
        const string isolation = "ISOLATION LEVEL ";
        foreach (var level in (ReadOnlySpan<string>)["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
        {
            settings = modes.Contains(isolation + level, StringComparison.Ordinal) ? settings.With("default_transaction_isolation", $"'{level.ToLowerInvariant()}'") : settings;
        }

        settings = modes.Contains("READ ONLY", StringComparison.Ordinal) ? settings.With("default_transaction_read_only", "'on'") : settings;
        settings = modes.Contains("READ WRITE", StringComparison.Ordinal) ? settings.With("default_transaction_read_only", "'off'") : settings;
        return modes.Contains("NOT DEFERRABLE", StringComparison.Ordinal) ? settings.With("default_transaction_deferrable", "'off'")
            : modes.Contains("DEFERRABLE", StringComparison.Ordinal) ? settings.With("default_transaction_deferrable", "'on'")
            : settings;
    }
}
