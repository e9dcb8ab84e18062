using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Topology;
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

        // On every server of the transaction, else on one.
        var servers = session.Transaction.Participants.Count > 0
            ? session.Transaction.Participants.ToArray()
            : [session.Pinned ?? await SessionServers.GetAsync(session, session.HomeNode).ConfigureAwait(false)];
        DialogResult? last = null;
        Dictionary<string, string>? changedFrom = null;
        foreach (var server in servers)
        {
            try
            {
                var before = new Dictionary<string, string>(server.Parameters, StringComparer.Ordinal);
                last = await SideDialog.RunAsync(server, text).ConfigureAwait(false);
                if (ReferenceEquals(server, servers[^1]))
                {
                    changedFrom = before;
                }
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

        Remember(session, variable, Encoding.UTF8.GetString(text.Span), servers);
        last!.WriteNotices(session.Output);
        MessageWriter.CString(session.Output, BackendTag.CommandComplete, last.Tag);
        ReportChanges(session, changedFrom!, servers[^1].Parameters);
    }

    /// <summary>Takes a SET or RESET that a server has accepted into the session's truth.</summary>
    public static void Remember(Session session, VariableSummary variable, string text, IReadOnlyList<ServerConnection> servers)
    {
        switch (variable.Verb)
        {
            case VariableVerb.Set when variable.ValueText is not null:
                session.Settings = session.Settings.With(variable.Name, variable.ValueText);
                break;
            case VariableVerb.Set:
                // A value that cannot be written again, such as an interval for a time zone: the server knows what it means.
                session.AreSettingsInDoubt = true;
                return;
            case VariableVerb.SetDefault or VariableVerb.Reset:
                session.Settings = session.StartupSettings[variable.Name] is { } startup
                    ? session.Settings.With(variable.Name, startup)
                    : session.Settings.Without(variable.Name);
                ResetOn(servers, s => s.Without(variable.Name));
                Doubt(session, variable.Name);
                return;
            case VariableVerb.ResetAll:
                session.Settings = session.Settings.AfterResetAll(session.StartupSettings);
                ResetOn(servers, s => s.AfterResetAll(SessionSettings.Empty));
                session.AreSettingsInDoubt = true;
                return;
            case VariableVerb.SetLocal or VariableVerb.SetTransaction or VariableVerb.SetTransactionSnapshot:
                if (session.Transaction.State != BlockState.Idle)
                {
                    session.Transaction.AddLocalSetting(text);
                }

                return;
            case VariableVerb.SetSessionCharacteristics:
                session.AreSettingsInDoubt = true;
                return;
        }

        Doubt(session, variable.Name);
        foreach (var server in servers)
        {
            server.Settings = session.Settings;
        }
    }

    // A server goes back to its own default: the client's start-up parameter has to be brought to it again.
    private static void ResetOn(IReadOnlyList<ServerConnection> servers, Func<SessionSettings, SessionSettings> reset)
    {
        foreach (var server in servers)
        {
            server.Settings = reset(server.Settings);
        }
    }

    // What was written is not always what is set: DateStyle keeps the half that was not named, a rolled-back SET is undone, and so on.
    private static void Doubt(Session session, string name)
    {
        session.AreSettingsInDoubt = true;
        if (name.Contains('.', StringComparison.Ordinal))
        {
            (session.CustomSettings ??= new HashSet<string>(StringComparer.Ordinal)).Add(name);
        }
    }

    /// <summary>Strings would be read in another way than the lexer reads them.</summary>
    public static bool IsRefused(VariableSummary variable) =>
        variable.Name is "standard_conforming_strings" && (variable.Verb is VariableVerb.Set or VariableVerb.SetLocal) && !IsOn(variable.ValueText);

    private static bool IsOn(string? value) => value?.Trim('\'', ' ').ToLowerInvariant() is "on" or "true" or "yes" or "1" or "t" or "y";

    // The client has to know of reported parameters that its own SET changed.
    internal static void ReportChanges(Session session, Dictionary<string, string> before, Dictionary<string, string> after)
    {
        foreach (var (name, value) in after)
        {
            if (!before.TryGetValue(name, out var old) || !string.Equals(old, value, StringComparison.Ordinal))
            {
                session.ParameterReported(name, value);
                MessageWriter.ParameterStatus(session.Output, name, value);
            }
        }
    }
}
