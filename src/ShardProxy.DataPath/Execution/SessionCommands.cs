using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Commands about the session rather than about data: SET and RESET, DISCARD ALL, DEALLOCATE. What they change is the session's, not one
/// server's. Each call writes the command's reply, no ReadyForQuery; nothing may be owed when it is called.
/// </summary>
internal static class SessionCommands
{
    /// <summary>True for statements this room carries out.</summary>
    public static bool Handles(StatementShape shape) =>
        (shape.Variable is { } variable && VariableExecutor.Handles(variable)) || IsDiscardAll(shape) || shape.Kind == StatementKind.Deallocate;

    /// <summary>DISCARD ALL, as against the other forms of DISCARD.</summary>
    public static bool IsDiscardAll(StatementShape shape) => shape.Kind == StatementKind.Discard && shape.ForbidsTransactionBlock;

    /// <summary>Runs one command given as SQL text.</summary>
    public static ValueTask RunAsync(Session session, StatementShape shape, ReadOnlyMemory<byte> text)
    {
        if (shape.Variable is { } variable)
        {
            return VariableExecutor.RunAsync(session, variable, text);
        }

        if (session.Transaction.State == BlockState.Failed)
        {
            session.Fail("25P02", "current transaction is aborted, commands ignored until end of transaction block");
            return ValueTask.CompletedTask;
        }

        return shape.Kind == StatementKind.Discard ? DiscardAllAsync(session) : DeallocateAsync(session, shape, text);
    }

    // Temporary tables, cursors, advisory locks and the like exist only where the session is pinned: they end with that connection.
    private static async ValueTask DiscardAllAsync(Session session)
    {
        if (session.Transaction.State != BlockState.Idle)
        {
            session.Fail("25001", "DISCARD ALL cannot run inside a transaction block");
            return;
        }

        session.Prepared.Clear();
        session.SequenceServer = null;
        session.DrawnNumbers.Clear();
        foreach (var held in session.HeldServers())
        {
            await DiscardAsync(session, held).ConfigureAwait(false);
        }

        if (!session.Settings.SameAs(session.StartupSettings))
        {
            // Reported parameters that change back are the client's to know.
            session.Settings = session.StartupSettings;
            await SessionServers.GetAsync(session, session.HomeNode).ConfigureAwait(false);
        }

        MessageWriter.CString(session.Output, BackendTag.CommandComplete, "DISCARD ALL");
    }

    // A server that held state of the session is clean again, but for what no command takes back: then it is closed. Its tables and locks are
    // gone before the client hears of it all the same, which the end of a connection does not promise.
    private static async ValueTask DiscardAsync(Session session, ServerConnection server)
    {
        if (server is { IsPinned: false, Suspected: StateKinds.None })
        {
            return;
        }

        try
        {
            if (server.IsSettled && await SideDialog.RunAsync(server, "DISCARD ALL").ConfigureAwait(false) is { IsOk: true }
                && ((server.Found | server.Suspected) & StateKinds.Lasting) == 0 && server.IsClean)
            {
                StatementNames.Forget(session, server, null);
                server.UnnamedStatement = null;
                server.Settings = SessionSettings.Empty;
                server.Suspected = StateKinds.None;
                server.Found = StateKinds.None;
                SequenceTruth.Forget(session, server);
                session.Unpin(server);
                return;
            }
        }
        catch (EndOfStreamException)
        {
            // What it held is gone in any case.
        }

        SessionServers.Return(session, server);
    }

    // A statement of the extended protocol has another name on the servers; one of PREPARE is on the pinned server.
    private static async ValueTask DeallocateAsync(Session session, StatementShape shape, ReadOnlyMemory<byte> text)
    {
        var name = shape.Prepared?.Name;
        if (name is not null && session.Prepared.Remove(name, out var statement) && !statement.IsGone)
        {
            MessageWriter.CString(session.Output, BackendTag.CommandComplete, "DEALLOCATE");
            return;
        }

        if (session.Pinned is { } pinned)
        {
            DialogResult result;
            try
            {
                await SessionServers.GetAsync(session, pinned.Node).ConfigureAwait(false);
                if (!await StatementNames.LendAsync(session, pinned, shape).ConfigureAwait(false))
                {
                    return;
                }

                result = await SideDialog.RunAsync(pinned, text).ConfigureAwait(false);
            }
            catch (EndOfStreamException)
            {
                ServerLoss.Report(session, pinned, mayHaveWritten: false);
                return;
            }

            if (!result.IsOk)
            {
                session.Fail(result.ErrorPayload!);
                return;
            }

            VariableExecutor.Suspect(session, pinned, StateKinds.Prepared);
            StatementNames.Forget(session, pinned, name);
            MessageWriter.CString(session.Output, BackendTag.CommandComplete, result.Tag);
            return;
        }

        if (name is not null)
        {
            session.Fail("26000", $"prepared statement \"{name}\" does not exist");
            return;
        }

        session.Prepared.Clear();
        MessageWriter.CString(session.Output, BackendTag.CommandComplete, "DEALLOCATE ALL");
    }
}
