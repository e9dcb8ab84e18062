using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// BEGIN, COMMIT, ROLLBACK and savepoints of a session over any number of nodes. Each call writes the command's reply but no
/// ReadyForQuery. Nothing may be owed by any server when it is called.
/// </summary>
internal static class TransactionExecutor
{
    /// <summary>Runs one transaction command.</summary>
    public static async ValueTask RunAsync(Session session, TransactionSummary command)
    {
        switch (command.Verb)
        {
            case TransactionVerb.Begin or TransactionVerb.StartTransaction:
                Begin(session, command);
                break;
            case TransactionVerb.Commit:
                await EndAsync(session, command, commit: true).ConfigureAwait(false);
                break;
            case TransactionVerb.Rollback:
                await EndAsync(session, command, commit: false).ConfigureAwait(false);
                break;
            case TransactionVerb.Savepoint or TransactionVerb.ReleaseSavepoint or TransactionVerb.RollbackToSavepoint:
                await SavepointAsync(session, command).ConfigureAwait(false);
                break;
            default:
                await PreparedAsync(session, command).ConfigureAwait(false);
                break;
        }
    }

    /// <summary>Commits the open block over all its servers; true when it is committed. On failure the error has been written.</summary>
    public static async ValueTask<bool> CommitBlockAsync(Session session)
    {
        var transaction = session.Transaction;
        var participants = transaction.Participants.ToArray();
        var changesSchema = transaction.ChangesSchema;
        CommitFailure? error;
        if (transaction.LostNode is { } lost)
        {
            // A part of the transaction is gone with its server: the rest must not become permanent.
            await Task.WhenAll(participants.Select(p => RollbackAsync(session, p))).ConfigureAwait(false);
            error = new CommitFailure(null, PoolErrors.Lost(lost));
        }
        else
        {
            error = await TwoPhaseCommit.CommitAsync(session, participants).ConfigureAwait(false);
        }

        if (error is not null)
        {
            session.Settings = transaction.SettingsAtBegin;
        }

        foreach (var server in participants)
        {
            server.Settings = session.Settings;
            server.HasWritten = false;
            session.Relay.Tell(server);
        }

        transaction.End();
        error?.WriteTo(session);
        if (error is null && changesSchema)
        {
            await session.Services.SchemaObserver.SchemaChangedAsync(CancellationToken.None).ConfigureAwait(false);
        }

        return error is null;
    }

    /// <summary>Rolls the open block back on all its servers; a server that is lost takes its part with it.</summary>
    public static async ValueTask RollbackBlockAsync(Session session)
    {
        var transaction = session.Transaction;
        var participants = transaction.Participants.ToArray();
        await Task.WhenAll(participants.Select(p => RollbackAsync(session, p))).ConfigureAwait(false);
        session.Settings = transaction.SettingsAtBegin;
        foreach (var server in participants)
        {
            server.Settings = session.Settings;
            server.HasWritten = false;
            session.Relay.Tell(server);
        }

        transaction.End();
    }

    /// <summary>Rolls back what an implicit transaction has done on a server since the last Sync.</summary>
    public static async ValueTask UndoAsync(ServerConnection server)
    {
        await SideDialog.RunAsync(server, "ROLLBACK").ConfigureAwait(false);
        server.HasUnsynced = false;
    }

    private static async Task RollbackAsync(Session session, ServerConnection server)
    {
        try
        {
            await SideDialog.RunAsync(server, "ROLLBACK").ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Drop(session, server);
        }
    }

    private static void Begin(Session session, TransactionSummary command)
    {
        var tag = command.Verb == TransactionVerb.StartTransaction ? "START TRANSACTION" : "BEGIN";
        if (session.Transaction.State == BlockState.InBlock)
        {
            ClientReplies.Notice(session.Output, "25001", "there is already a transaction in progress", "WARNING");
        }
        else
        {
            session.Transaction.Begin(session.Settings, command.HasOptions ? command.OptionsText : null, isImplicit: false);
        }

        MessageWriter.CString(session.Output, BackendTag.CommandComplete, tag);
    }

    private static async ValueTask EndAsync(Session session, TransactionSummary command, bool commit)
    {
        var transaction = session.Transaction;
        var tag = commit && transaction.State != BlockState.Failed ? "COMMIT" : "ROLLBACK";
        if (transaction.State == BlockState.Idle)
        {
            if (command.Chain)
            {
                session.Fail("25P01", $"{tag} AND CHAIN can only be used in transaction blocks");
                return;
            }

            ClientReplies.Notice(session.Output, "25P01", "there is no transaction in progress", "WARNING");
            MessageWriter.CString(session.Output, BackendTag.CommandComplete, tag);
            return;
        }

        var options = transaction.HasPlainBegin ? null : transaction.BeginSql["BEGIN ".Length..];
        if (commit && transaction.State == BlockState.InBlock)
        {
            if (!await CommitBlockAsync(session).ConfigureAwait(false))
            {
                return;
            }
        }
        else
        {
            await RollbackBlockAsync(session).ConfigureAwait(false);
        }

        if (command.Chain)
        {
            transaction.Begin(session.Settings, options, isImplicit: false);
        }

        MessageWriter.CString(session.Output, BackendTag.CommandComplete, tag);
    }

    private static async ValueTask SavepointAsync(Session session, TransactionSummary command)
    {
        var transaction = session.Transaction;
        var (tag, verb) = command.Verb switch
        {
            TransactionVerb.Savepoint => ("SAVEPOINT", "SAVEPOINT"),
            TransactionVerb.ReleaseSavepoint => ("RELEASE", "RELEASE SAVEPOINT"),
            _ => ("ROLLBACK", "ROLLBACK TO SAVEPOINT"),
        };
        if (transaction.State == BlockState.Idle)
        {
            session.Fail("25P01", $"{verb} can only be used in transaction blocks");
            return;
        }

        if (transaction.State == BlockState.Failed && command.Verb != TransactionVerb.RollbackToSavepoint)
        {
            session.Fail("25P02", "current transaction is aborted, commands ignored until end of transaction block");
            return;
        }

        var name = command.Name!;
        var index = transaction.FindSavepoint(name);
        if (index < 0 && command.Verb != TransactionVerb.Savepoint)
        {
            session.Fail("3B001", $"savepoint \"{name}\" does not exist");
            return;
        }

        if (transaction.LostNode is { } lost)
        {
            // A part of the transaction is gone with its server: no savepoint brings it back.
            session.Fail(PoolErrors.Lost(lost));
            return;
        }

        var sql = $"{verb} {SqlIdentifier.Quote(name)}";
        var results = await Task.WhenAll(transaction.Participants.ToArray().Select(p => RunOnAsync(session, p, sql))).ConfigureAwait(false);
        if (results.FirstOrDefault(r => r is null or { IsOk: false }) is { } failed)
        {
            session.Fail(failed.ErrorPayload!);
            return;
        }

        if (results.Contains(null))
        {
            session.Fail(PoolErrors.Lost(transaction.LostNode ?? ""));
            return;
        }

        switch (command.Verb)
        {
            case TransactionVerb.Savepoint:
                transaction.AddSavepoint(name, session.Settings);
                break;
            case TransactionVerb.ReleaseSavepoint:
                transaction.CutSavepoints(index);
                session.OpenResults?.ReleaseSavepoint(index);
                break;
            default:
                var savepoint = transaction.Savepoints[index];
                session.Settings = savepoint.Settings;
                foreach (var server in transaction.Participants)
                {
                    server.Settings = savepoint.Settings;
                    session.Relay.Tell(server);
                }

                transaction.CutSettings(savepoint.SettingCount);
                transaction.CutSavepoints(index + 1);
                session.OpenResults?.RollBackTo(index);
                transaction.State = BlockState.InBlock;
                break;
        }

        MessageWriter.CString(session.Output, BackendTag.CommandComplete, tag);
    }

    private static async Task<DialogResult?> RunOnAsync(Session session, ServerConnection server, string sql)
    {
        try
        {
            return await SideDialog.RunAsync(server, sql).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Drop(session, server);
            return null;
        }
    }

    // The client's own two-phase commands concern the home node only.
    private static async ValueTask PreparedAsync(Session session, TransactionSummary command)
    {
        var transaction = session.Transaction;
        if (command.Verb == TransactionVerb.Prepare && transaction.State == BlockState.Failed)
        {
            await RollbackBlockAsync(session).ConfigureAwait(false);
            MessageWriter.CString(session.Output, BackendTag.CommandComplete, "ROLLBACK");
            return;
        }

        if (transaction.State == BlockState.Failed)
        {
            session.Fail("25P02", "current transaction is aborted, commands ignored until end of transaction block");
            return;
        }

        if (transaction.Participants.Any(p => !p.Node.IsHome))
        {
            session.Fail(Routing.RoutingErrors.Unsupported);
            return;
        }

        var (sql, tag) = command.Verb switch
        {
            TransactionVerb.Prepare => ("PREPARE TRANSACTION ", "PREPARE TRANSACTION"),
            TransactionVerb.CommitPrepared => ("COMMIT PREPARED ", "COMMIT PREPARED"),
            _ => ("ROLLBACK PREPARED ", "ROLLBACK PREPARED"),
        };
        var server = await SessionServers.GetAsync(session, session.HomeNode).ConfigureAwait(false);
        DialogResult result;
        try
        {
            result = await SideDialog.RunAsync(server, sql + SqlIdentifier.Literal(command.Name!)).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, server, mayHaveWritten: true);
            return;
        }

        if (command.Verb == TransactionVerb.Prepare)
        {
            // Whether it succeeded or not, the block is over on the server.
            session.Settings = result.IsOk || transaction.State == BlockState.Idle ? session.Settings : transaction.SettingsAtBegin;
            server.Settings = session.Settings;
            server.HasWritten = false;
            transaction.End();
            session.Relay.Tell(server);
        }

        result.WriteNotices(session.Output);
        if (!result.IsOk)
        {
            session.Fail(result.ErrorPayload!);
            return;
        }

        if (command.Verb == TransactionVerb.CommitPrepared && session.IsSharded)
        {
            // Whoever prepared it may have made a view over a placed table: routing has to know before anybody reads it.
            await session.Services.SchemaObserver.SchemaChangedAsync(CancellationToken.None).ConfigureAwait(false);
        }

        MessageWriter.CString(session.Output, BackendTag.CommandComplete, result.Tag.Length > 0 ? result.Tag : tag);
    }
}
