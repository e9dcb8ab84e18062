using System.Runtime.CompilerServices;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Gets servers for a session and gives them back: lease, settings, joining the open block, release.</summary>
internal static class SessionServers
{
    private static readonly TimeSpan PauseCheck = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// A server on the node, with the client's settings, in the client's transaction. BEGIN may still be unsent in its output buffer, in
    /// front of whatever the caller writes next.
    /// </summary>
    /// <exception cref="ServerUnavailableException">None could be had.</exception>
    public static ValueTask<ServerConnection> GetAsync(Session session, Node node)
    {
        if (session.FindHeld(node.Id) is { } held)
        {
            if (held.Pool.IsPaused && session.Transaction.State == BlockState.Idle && held is { Owed.Count: 0, HasUnsynced: false })
            {
                return AfterPauseAsync(session, held, node);
            }

            return session.Settings.SameAs(held.Settings) && session.Transaction.HasSettingsOn(held)
                    && (session.Transaction.State == BlockState.Idle || session.Transaction.Find(node.Id) is not null)
                ? new ValueTask<ServerConnection>(held)
                : PrepareAsync(session, held);
        }

        var lease = session.PoolOf(node).LeaseAsync(session.HeldCount > 0, session.Connection.Closed, session.NextServer ?? session.Assigned);
        session.NextServer = null;
        if (lease.IsCompletedSuccessfully && !session.Services.Kills.IsRecent)
        {
            var server = lease.Result;
            session.Hold(server);
            SessionEnd.ThrowIfEnded(session, server);
            return IsReady(session, server)
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
                server = await SessionEnd.NoVictimAsync(session, await lease.ConfigureAwait(false)).ConfigureAwait(false);
            }
            finally
            {
                session.EndWait();
            }

            session.Hold(server);
            SessionEnd.ThrowIfEnded(session, server);
            return IsReady(session, server)
                ? server
                : await PrepareAsync(session, server).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// A server on which PostgreSQL finishes a statement of this session apart from its transaction: with the client's settings, outside a block. To be
    /// given back by <see cref="Return"/>; whoever leases one has all its other servers already.
    /// </summary>
    /// <exception cref="ServerUnavailableException">None could be had.</exception>
    public static async ValueTask<ServerConnection> GetWorkspaceAsync(Session session, Node node)
    {
        for (var attempt = 0; ; attempt++)
        {
            session.BeginWait();
            ServerConnection server;
            try
            {
                var pool = session.Services.Pools.Get(node, new PoolKey(node.Id, session.Identity.Database, session.Identity.User, IsWorkspace: true));
                server = await pool.LeaseAsync(joins: true, session.Connection.Closed).ConfigureAwait(false);
            }
            finally
            {
                session.EndWait();
            }

            session.Hold(server);
            try
            {
                if (!server.IsKnown)
                {
                    await LearnAsync(session, server).ConfigureAwait(false);
                }

                await ServerSettings.ApplyAsync(session, server, session.Settings).ConfigureAwait(false);
                return server;
            }
            catch (EndOfStreamException)
            {
                // It had died unseen.
                Return(session, server);
                if (attempt >= session.Services.Options.PoolSize)
                {
                    throw new ServerUnavailableException(PoolErrors.Lost(node.Name));
                }
            }
            catch
            {
                Return(session, server);
                throw;
            }
        }
    }

    // A leased server that can take the session's statement as it is.
    private static bool IsReady(Session session, ServerConnection server) =>
        session.Transaction.State == BlockState.Idle && server.IsKnown && session.CustomParameters.Knows(server) && session.CustomParameters.MissingOn(server) is null && session.Settings.SameAs(server.Settings) && ReferenceEquals(server.Parameters, session.Relay.Told);

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
    /// The end of a statement: gives back what an idle session need not keep. A server on which the session may have left something is asked
    /// first. Call with nothing owed.
    /// </summary>
    public static ValueTask ReleaseAsync(Session session)
    {
        if (session.Transaction.State == BlockState.Idle && session.HasSuspicion)
        {
            return Slow(session);
        }

        Release(session);
        return ValueTask.CompletedTask;

        static async ValueTask Slow(Session session)
        {
            foreach (var server in session.HeldServers())
            {
                var isLent = server is { Lent: not null, IsSettled: true };
                if (!isLent && (server.Suspected == StateKinds.None || !server.IsClean))
                {
                    continue;
                }

                try
                {
                    if (isLent)
                    {
                        await StatementNames.TakeBackAsync(server).ConfigureAwait(false);
                    }

                    if (server.Suspected == StateKinds.None || !server.IsClean)
                    {
                        continue;
                    }

                    await StateProbe.LookAsync(session, server).ConfigureAwait(false);
                    if (session.Settings.SameAs(server.Settings))
                    {
                        session.Relay.Tell(server);
                    }
                }
                catch (EndOfStreamException)
                {
                    // Whatever it was, it is gone: the next statement that misses it is told so.
                    Return(session, server);
                    continue;
                }

                if ((server.Found & StateKinds.Pinning) != 0 || server.Suspected != StateKinds.None)
                {
                    session.Pin(server, StateKinds.None);
                }
                else
                {
                    session.Unpin(server);
                }
            }

            session.HasSuspicion = session.HeldServers().Any(s => s.Suspected != StateKinds.None);
            Release(session);
        }
    }

    // Its own server is here, but what begins anew is held: it waits as those do who have none.
    private static async ValueTask<ServerConnection> AfterPauseAsync(Session session, ServerConnection held, Node node)
    {
        var started = session.Services.Time.GetTimestamp();
        session.BeginWait();
        try
        {
            while (held.Pool.IsPaused)
            {
                if (session.Services.Time.GetElapsedTime(started) > session.Services.Options.PoolWait)
                {
                    throw new ServerUnavailableException(PoolErrors.WaitTimeout(held.Pool.Snapshot(), session.Services.Options.PoolWait));
                }

                await Task.Delay(PauseCheck, session.Services.Time, session.Connection.Closed).ConfigureAwait(false);
            }
        }
        finally
        {
            session.EndWait();
        }

        return await GetAsync(session, node).ConfigureAwait(false);
    }

    /// <summary>Gives back what an idle session need not keep and what nothing was left on.</summary>
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

        // From the end: those that are returned leave the list.
        for (var i = session.HeldCount - 1; i >= 0; i--)
        {
            var server = session.Held(i);
            if (((server.IsPinned || server.Suspected != StateKinds.None) && server.IsSettled) || session.OpenResults?.Keeps(server) == true)
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
        if (server.IsPinned || server.Suspected != StateKinds.None || server.Lent is not null)
        {
            // What it holds is this session's and must never be another's.
            server.MarkBroken();
        }

        session.Unpin(server);

        server.Pool.Return(server);
    }

    /// <summary>The session is over: pinned servers are closed, for their state is nobody else's; the rest goes back if clean.</summary>
    public static void ReleaseAll(Session session)
    {
        if (session.Assigned is { } assigned && ReferenceEquals(assigned.AssignedTo, session))
        {
            // Before it is returned: who waits in line may become its client.
            assigned.AssignedTo = null;
        }

        foreach (var server in session.HeldServers())
        {
            Return(session, server);
        }

        session.Transaction.End();
    }

    // A pooled connection may have died unseen: nothing of the client's was on it, so another one does as well.
    private static async ValueTask<ServerConnection> PrepareAsync(Session session, ServerConnection server)
    {
        for (var attempt = 0; ; attempt++)
        {
            var hadJoined = session.Transaction.Find(server.Node.Id) is not null || ReferenceEquals(server, session.Pinned);
            try
            {
                await PrepareOnceAsync(session, server).ConfigureAwait(false);
                session.Relay.Tell(server);
                return server;
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

            server = await session.PoolOf(server.Node).LeaseAsync(session.HeldCount > 0, session.Connection.Closed, session.Assigned).ConfigureAwait(false);
            session.Hold(server);
        }
    }

    private static async ValueTask PrepareOnceAsync(Session session, ServerConnection server)
    {
        var transaction = session.Transaction;
        if (!server.IsKnown)
        {
            await LearnAsync(session, server).ConfigureAwait(false);
        }

        if (!session.CustomParameters.Knows(server))
        {
            // It is replaced, as one that has died unseen.
            server.MarkBroken();
            throw new EndOfStreamException("the server has another client's options");
        }

        if (transaction.Find(server.Node.Id) is null && session.CustomParameters.MissingOn(server) is { } missing)
        {
            await ServerSettings.LeaveTracesAsync(session, server, missing).ConfigureAwait(false);
        }

        if (transaction.State == BlockState.InBlock && transaction.Find(server.Node.Id) is null)
        {
            // The settings of the time of BEGIN come before it. A SET inside the block is sent in its place, between the savepoints, and is
            // rolled back with them on every node alike.
            await ServerSettings.ApplyAsync(session, server, transaction.SettingsAtBegin).ConfigureAwait(false);
            var isPlain = transaction.HasPlainBegin && transaction.Savepoints.Count == 0 && transaction.SettingCount == 0;
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

                server.Settings = session.Settings;
            }
        }

        if (!transaction.HasSettingsOn(server))
        {
            await ServerSettings.SpreadAsync(session, server).ConfigureAwait(false);
        }

        if (!session.Settings.SameAs(server.Settings) && transaction.State != BlockState.Failed)
        {
            await ServerSettings.ApplyAsync(session, server, session.Settings).ConfigureAwait(false);
        }
    }

    // What the login brought by ALTER ROLE, ALTER DATABASE and the server's configuration holds for every session, but routing has to know it.
    private static async ValueTask LearnAsync(Session session, ServerConnection server)
    {
        if (server.Parameters.HasBackslashEscapes && !session.IsTransparent)
        {
            server.MarkBroken();
            throw new ServerUnavailableException(Execution.ExecutionErrors.ConformingStrings);
        }

        if (session.IsSharded)
        {
            var result = await SideDialog.RunAsync(server, "SELECT pg_catalog.current_schemas(false)").ConfigureAwait(false);
            if (result.IsOk && result.Rows is [[{ } schemas]])
            {
                session.Services.SearchPath.NoteDefault(server.Key.User, System.Text.Encoding.UTF8.GetString(schemas));
            }
        }

        server.IsKnown = true;
    }
}
