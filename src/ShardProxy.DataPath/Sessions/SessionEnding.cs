using ShardProxy.DataPath.Servers;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Ends what a session does, from other threads: its statement, or all of it. A server is marked while it is certain that the session
/// still holds it, and a marked one never goes back to its pool: neither a cancel request nor a cut can meet another client.
/// </summary>
internal static class SessionEnding
{
    /// <summary>Asks the servers that work for the session to stop; false when none does: then PostgreSQL ignores such a request, too.</summary>
    public static async Task<bool> CancelAsync(Session session)
    {
        // All are marked before the first is asked: while that takes its time the session may go on, and its other servers then do something else.
        var working = Array.FindAll(session.HeldServers(), s => session.TryMarkCancelled(s, evenIfIdle: false));
        foreach (var server in working)
        {
            await session.Services.Connector.CancelAsync(server.Node, server.ProcessId, server.Secret).ConfigureAwait(false);
        }

        // Nothing was sent yet: the wait for a server, or for one to be opened, ends.
        return working.Length > 0 || (session.WaitingSince != 0 && session.Services.Pools.TryCancelWait(session.Connection.Closed));
    }

    /// <summary>The client has left: what its servers do is for nobody. They are cancelled and cut.</summary>
    public static void Abandon(Session session)
    {
        foreach (var server in session.HeldServers())
        {
            var isInUse = server.Owed.Count > 0 || session.Transaction.State != BlockState.Idle;
            if (isInUse && session.TryMarkCancelled(server, evenIfIdle: true))
            {
                _ = EndAsync(session, server);
            }
        }
    }

    /// <summary>Ends it without another word.</summary>
    public static void Cut(Session session)
    {
        Abandon(session);
        session.Connection.Abort();
    }

    // The server would go on working for nobody: cancel what it does, then cut the connection.
    private static async Task EndAsync(Session session, ServerConnection server)
    {
        if (server.Owed.Count > 0)
        {
            await session.Services.Connector.CancelAsync(server.Node, server.ProcessId, server.Secret).ConfigureAwait(false);
        }

        server.Abort();
    }
}
