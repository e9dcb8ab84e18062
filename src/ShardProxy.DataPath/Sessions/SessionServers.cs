using System.Runtime.CompilerServices;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Gets servers for a session and gives them back: lease, settings, joining the open block, release.</summary>
internal static class SessionServers
{
    /// <summary>
    /// A server on the node, with the client's settings, in the client's transaction. BEGIN may still be unsent in its output buffer, in
    /// front of whatever the caller writes next.
    /// </summary>
    /// <exception cref="ServerUnavailableException">None could be had.</exception>
    public static ValueTask<ServerConnection> GetAsync(Session session, Node node)
    {
        if (session.FindHeld(node.Id) is { } held)
        {
            return session.Settings.SameAs(held.Settings) && (session.Transaction.State == BlockState.Idle || session.Transaction.Find(node.Id) is not null)
                ? new ValueTask<ServerConnection>(held)
                : PrepareAsync(session, held);
        }

        var lease = session.PoolOf(node).LeaseAsync(session.HeldCount > 0, session.Connection.Closed, session.Assigned, session.WantsAssignment);
        if (lease.IsCompletedSuccessfully)
        {
            var server = lease.Result;
            session.Hold(server);
            SessionEnd.ThrowIfEnded(session, server);
            return session.Transaction.State == BlockState.Idle && session.Settings.SameAs(server.Settings)
                ? new ValueTask<ServerConnection>(server)
                : PrepareAsync(session, server);
        }

        return Wait(session, lease);

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        static async ValueTask<ServerConnection> Wait(Session session, ValueTask<ServerConnection> lease)
        {
            session.BeginWait();
            ServerConnection server;
            try
            {
                server = await lease.ConfigureAwait(false);
            }
            finally
            {
                session.EndWait();
            }

            session.Hold(server);
            SessionEnd.ThrowIfEnded(session, server);
            return session.Transaction.State == BlockState.Idle && session.Settings.SameAs(server.Settings)
                ? server
                : await PrepareAsync(session, server).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// As <see cref="GetAsync"/> for a statement that is registered with the barriers: while it waits for a server connection it is not
    /// registered. Null when the routing table has changed meanwhile: route again.
    /// </summary>
    public static ValueTask<ServerConnection?> GetForStatementAsync(Session session, Node node, RoutingTable table)
    {
        var lease = GetAsync(session, node);
        return lease.IsCompletedSuccessfully ? new ValueTask<ServerConnection?>(lease.Result) : Wait(session, lease, table);

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        static async ValueTask<ServerConnection?> Wait(Session session, ValueTask<ServerConnection> lease, RoutingTable table)
        {
            session.Activity.WithdrawStatement();
            var server = await lease.ConfigureAwait(false);
            return session.Activity.TryBeginStatement(table, session.Touches) ? server : null;
        }
    }

    /// <summary>
    /// Gives back what an idle session need not keep, after its settings are known again. Call with nothing owed; the client has its reply.
    /// </summary>
    public static ValueTask SettleAsync(Session session)
    {
        if (!session.AreSettingsInDoubt || session.Transaction.State != BlockState.Idle)
        {
            Release(session);
            return ValueTask.CompletedTask;
        }

        return Learn(session);

        static async ValueTask Learn(Session session)
        {
            await session.Relay.FlushClientAsync().ConfigureAwait(false);
            await SettingsReader.LearnAsync(session).ConfigureAwait(false);
            Release(session);
        }
    }

    /// <summary>Gives back what an idle session need not keep. Call with nothing owed.</summary>
    public static void Release(Session session)
    {
        if (session.Transaction.State != BlockState.Idle)
        {
            return;
        }

        if (session.ChangesMeaning)
        {
            session.ChangesMeaning = false;
            session.Services.Canonical.Forget();
        }

        if (session.HeldCount == 0)
        {
            return;
        }

        foreach (var server in session.HeldServers())
        {
            if (server.IsPinned && server.IsSettled)
            {
                continue;
            }

            Return(session, server);
        }
    }

    /// <summary>Gives one server back to its pool, which closes it unless it is clean.</summary>
    public static void Return(Session session, ServerConnection server)
    {
        session.Unhold(server);
        if (server.IsPinned)
        {
            // What it holds is this session's and must never be another's.
            server.MarkBroken();
        }

        if (ReferenceEquals(server, session.Pinned))
        {
            session.Unpin();
        }

        server.Pool.Return(server);
    }

    /// <summary>The session is over: pinned servers are closed, for their state is nobody else's; the rest goes back if clean.</summary>
    public static void ReleaseAll(Session session)
    {
        foreach (var server in session.HeldServers())
        {
            Return(session, server);
        }

        session.Transaction.End();
        if (session.Assigned is { } assigned)
        {
            assigned.AssignedTo = null;
        }
    }

    // A pooled connection may have died unseen: nothing of the client's was on it, so another one does as well.
    private static async ValueTask<ServerConnection> PrepareAsync(Session session, ServerConnection server)
    {
        for (var attempt = 0; ; attempt++)
        {
            var hadJoined = session.Transaction.Find(server.Node.Id) is not null || ReferenceEquals(server, session.Pinned);
            try
            {
                return await PrepareOnceAsync(session, server).ConfigureAwait(false);
            }
            catch (EndOfStreamException)
            {
                if (hadJoined)
                {
                    Execution.ServerLoss.Drop(session, server);
                }
                else
                {
                    session.Transaction.Leave(server);
                    Return(session, server);
                }

                if (hadJoined || attempt >= session.Services.Options.PoolSize)
                {
                    throw new ServerUnavailableException(PoolErrors.Lost(server.Node.Name));
                }
            }

            server = await session.PoolOf(server.Node).LeaseAsync(session.HeldCount > 0, session.Connection.Closed).ConfigureAwait(false);
            session.Hold(server);
        }
    }

    private static async ValueTask<ServerConnection> PrepareOnceAsync(Session session, ServerConnection server)
    {
        var transaction = session.Transaction;
        if (transaction.State == BlockState.InBlock && transaction.Find(server.Node.Id) is null)
        {
            // The settings of the time of BEGIN come before it: a SET inside the block is rolled back with it on every node alike.
            await ApplySettingsAsync(session, server, transaction.SettingsAtBegin).ConfigureAwait(false);
            var isPlain = transaction.HasPlainBegin && transaction.Savepoints.Count == 0 && transaction.LocalSettingCount == 0;
            var join = transaction.JoinSql(SqlIdentifier.Quote);
            transaction.Join(server);
            server.HasWritten = false;
            if (isPlain)
            {
                SideDialog.Send(server, "BEGIN"u8);
            }
            else
            {
                var result = await SideDialog.RunAsync(server, join).ConfigureAwait(false);
                if (!result.IsOk)
                {
                    throw new ServerUnavailableException(result.ErrorPayload!);
                }
            }
        }

        if (!session.Settings.SameAs(server.Settings) && transaction.State != BlockState.Failed)
        {
            await ApplySettingsAsync(session, server, session.Settings).ConfigureAwait(false);
        }

        return server;
    }

    private static async ValueTask ApplySettingsAsync(Session session, ServerConnection server, SessionSettings settings)
    {
        if (settings.SameAs(server.Settings))
        {
            return;
        }

        if (settings.LeavesTracesOf(server.Settings) && !server.IsPinned && session.Transaction.Find(server.Node.Id) is null)
        {
            // Another client's name would be left on it.
            server.MarkBroken();
            throw new EndOfStreamException("the server has another client's options");
        }

        var result = await SideDialog.RunAsync(server, settings.TransitionFrom(server.Settings)).ConfigureAwait(false);
        if (!result.IsOk)
        {
            server.MarkBroken();
            throw new ServerUnavailableException(result.ErrorPayload!);
        }

        server.Settings = settings;
    }
}
