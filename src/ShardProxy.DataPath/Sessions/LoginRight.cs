using ShardProxy.DataPath.Servers;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Whether a user who has logged in here would be let in by the home node now. A pooled connection outlives what let it in: the role may have lost
/// LOGIN or CONNECT since, have expired or been dropped. So a connection that is not fresh is asked, and where it is in doubt the node is logged in
/// to anew: its own answer counts, in its own words.
/// </summary>
internal static class LoginRight
{
    // What PostgreSQL looks at when a session begins. Names are qualified, for the client's own search_path is in force. A role that is dropped
    // makes this an error.
    private static readonly byte[] Question =
        """
        SELECT r.rolcanlogin AND d.datallowconn AND pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT')
            AND (r.rolvaliduntil IS NULL OR r.rolvaliduntil OPERATOR(pg_catalog.>=) pg_catalog.now())
        FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
        WHERE r.rolname OPERATOR(pg_catalog.=) session_user AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
        """u8.ToArray();

    /// <summary>How long an answer is believed: a storm of log-ins is one question a second for each connection.</summary>
    private static readonly TimeSpan Believed = TimeSpan.FromSeconds(1);

    /// <summary>A server of the home node for a client that logs in.</summary>
    /// <exception cref="ServerUnavailableException">None could be had, or the node would not let the user in any more.</exception>
    public static async ValueTask<ServerConnection> ServerAsync(Session session)
    {
        while (true)
        {
            var server = await SessionServers.GetAsync(session, session.HomeNode).ConfigureAwait(false);
            var time = session.Services.Time;
            if (time.GetElapsedTime(server.LoginProvenAt) < Believed)
            {
                return server;
            }

            if (await SideDialog.OrLostAsync(SideDialog.RunAsync(server, Question)).ConfigureAwait(false) is not { } answer)
            {
                // It died unseen. Each goes once, and a new one has its right from its own log-in.
                SessionServers.Return(session, server);
                continue;
            }

            if (!answer.IsOk || answer.Tag == "SELECT 0" || answer.Rows is [[[(byte)'f']]])
            {
                await TryAnewAsync(session, server).ConfigureAwait(false);
            }

            server.LoginProvenAt = time.GetTimestamp();
            return server;
        }
    }

    private static async ValueTask TryAnewAsync(Session session, ServerConnection server)
    {
        ServerConnection fresh;
        try
        {
            fresh = await session.Services.Connector.ConnectAsync(server.Node, server.Key, session.Connection.Closed).ConfigureAwait(false);
        }
        catch (ServerUnavailableException e) when (NodeLink.IsOutage(e) || e.SqlState == "53300")
        {
            // Not about this user.
            return;
        }

        fresh.Abort();
        await fresh.DisposeAsync().ConfigureAwait(false);
    }
}
