using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;

namespace ShardProxy.DataPath.Execution;

/// <summary>What a client is told when a server went away under its statement (laws 2 and 3).</summary>
internal static class ServerLoss
{
    /// <summary>
    /// Takes the server out of the session and writes the error. A write outside a block may have been committed: its outcome is
    /// unknown (08007). Inside a block nothing can have been committed: the block has failed (08006).
    /// </summary>
    /// <exception cref="SessionEndedException">The server's own last words are what the client has to be told.</exception>
    public static void Report(Session session, ServerConnection server, bool mayHaveWritten)
    {
        var wasPinned = server.IsPinned;
        var inBlock = session.Transaction.State != BlockState.Idle && !session.Transaction.IsImplicit;
        SessionEnd.ThrowIfTold(session, server, wasPinned);
        session.IsDoomed |= server.IsPinned;
        Drop(session, server);
        session.Fail(mayHaveWritten && !inBlock ? PoolErrors.OutcomeUnknown(server.Node.Name)
            : session.Relay.HasUnknownType ? Routing.RoutingErrors.TypeUnknown : PoolErrors.Lost(server.Node.Name));
    }

    /// <summary>Whether a failure of reading or writing means that the server is gone, and not the client.</summary>
    public static bool IsLoss(Session session, Exception e) =>
        e is IOException or InvalidOperationException || (e is OperationCanceledException && !session.Connection.IsClosed);

    /// <summary>Takes a lost server out of the session without telling anyone.</summary>
    public static void Drop(Session session, ServerConnection server)
    {
        server.GiveUp();
        if (session.Transaction.Leave(server))
        {
            session.Transaction.LostNode = server.Node.Name;
        }

        SessionServers.Return(session, server);
        session.Relay.LoseServer();
    }
}
