using ShardProxy.DataPath.Servers;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Brings run-time parameters of a session to a server it has leased.</summary>
internal static class ServerSettings
{
    /// <summary>Brings a map of settings to the server; what a library on that server does not take is taken from the session.</summary>
    /// <exception cref="ServerUnavailableException">With the server's error; the server is broken.</exception>
    /// <exception cref="EndOfStreamException">The server was lost.</exception>
    public static async ValueTask ApplyAsync(Session session, ServerConnection server, SessionSettings settings)
    {
        if (settings.SameAs(server.Settings))
        {
            return;
        }

        var result = await SideDialog.RunAsync(server, settings.TransitionFrom(server.Settings)).ConfigureAwait(false);
        if (!result.IsOk && server.Status == (byte)'I' && settings.Names.Any(SessionSettings.IsCustom))
        {
            var taken = await WithoutRefusedAsync(session, server, settings).ConfigureAwait(false);
            if (!ReferenceEquals(taken, settings))
            {
                settings = taken;
                result = await SideDialog.RunAsync(server, settings.TransitionFrom(server.Settings)).ConfigureAwait(false);
            }
        }

        if (!result.IsOk)
        {
            server.MarkBroken();
            throw new ServerUnavailableException(result.ErrorPayload!);
        }

        server.Settings = settings;
        foreach (var name in settings.Names)
        {
            session.CustomParameters.Set(name, server);
        }
    }

    /// <summary>A function has set parameters on another server of the block: this one gets them too, until the block ends.</summary>
    /// <exception cref="ServerUnavailableException">It cannot be done.</exception>
    public static async ValueTask SpreadAsync(Session session, ServerConnection server)
    {
        var transaction = session.Transaction;
        if (transaction.HasUnreadSettings)
        {
            await StateProbe.ReadBlockAsync(session).ConfigureAwait(false);
        }

        var settings = transaction.BlockSettings;
        var sql = string.Join("; ", settings.Names.Where(n => n != SessionSettings.SessionAuthorization).Select(n => SessionSettings.SetSql(n, settings[n]!.Value, isLocal: true)));
        if (transaction.HasUnreadSettings || (sql.Length > 0 && await SideDialog.RunAsync(server, sql).ConfigureAwait(false) is { IsOk: false }))
        {
            throw new ServerUnavailableException(SessionErrors.SettingsNotSpread);
        }

        foreach (var name in settings.Names)
        {
            session.CustomParameters.Set(name, server);
        }

        transaction.SettingsAreOn(server);
    }

    /// <summary>Leaves the traces of the session's own custom parameters that the server lacks.</summary>
    public static async ValueTask LeaveTracesAsync(Session session, ServerConnection server, IReadOnlyList<string> missing)
    {
        if (await SideDialog.RunAsync(server, string.Join("; ", missing)).ConfigureAwait(false) is { IsOk: false })
        {
            // A library on this server refuses one, and all were undone. That one has no trace to leave.
            foreach (var each in missing)
            {
                await SideDialog.RunAsync(server, each).ConfigureAwait(false);
            }
        }

        session.CustomParameters.AreOn(server);
    }

    /// <summary>
    /// A custom parameter belongs to nobody until the library of its prefix is loaded. Then PostgreSQL takes back, with a warning, what the library
    /// does not take (documentation, "Customized Options"). A server on which it is loaded already refuses such a value, so what would have
    /// happened to the session at LOAD happens now, in the server's words.
    /// </summary>
    private static async ValueTask<SessionSettings> WithoutRefusedAsync(Session session, ServerConnection server, SessionSettings settings)
    {
        foreach (var name in settings.Names.Where(SessionSettings.IsCustom))
        {
            var value = settings[name]!.Value;
            if (server.Settings[name] == value)
            {
                continue;
            }

            var result = await SideDialog.RunAsync(server, SessionSettings.SetSql(name, value)).ConfigureAwait(false);
            if (result.IsOk)
            {
                server.Settings = server.Settings.With(name, value);
                session.CustomParameters.Set(name, server);
                continue;
            }

            MessageWriter.Raw(session.Output, BackendTag.NoticeResponse, ErrorFields.WithSeverity(result.ErrorPayload!, "WARNING"));
            settings = settings.Without(name);
            session.Settings = session.Settings.Without(name);
            session.StartupSettings = session.StartupSettings.Without(name);
        }

        return settings;
    }
}
