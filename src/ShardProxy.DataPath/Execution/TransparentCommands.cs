using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Transaction control, SET and RESET while no table is placed (<see cref="Session.IsTransparent"/>): the home node gets the client's own text and
/// answers it; what became of it is followed here, so that the block can go on should a table be placed meanwhile.
/// </summary>
internal static class TransparentCommands
{
    /// <summary>
    /// The text means something else to the server than to the lexer: backslashes escape in its plain literals. It can only be passed on unread.
    /// </summary>
    public static bool IsMisread(Session session, ReadOnlySpan<byte> text) => session.HasBackslashEscapes && text.Contains((byte)'\\');

    /// <summary>True for statements that are the proxy's to carry out once tables are placed, and the home node's own before.</summary>
    public static bool Handles(StatementShape shape) => shape.Transaction is not null || (shape.Variable is { } variable && VariableExecutor.Handles(variable));

    /// <summary>The session takes its start-up parameters back after this statement: for the server alone a RESET goes back to its own defaults.</summary>
    public static bool Restores(Session session, StatementShape shape) =>
        !session.StartupSettings.IsEmpty && shape.Variable is { Verb: VariableVerb.Reset or VariableVerb.SetDefault or VariableVerb.ResetAll };

    /// <summary>Follows one statement a server has answered. <paramref name="text"/> is the statement's own; empty where it was one of several.</summary>
    public static void Follow(Session session, StatementShape shape, ReadOnlyMemory<byte> text, ServerConnection server)
    {
        if (shape.Variable is { } variable)
        {
            if (session.Relay.Error is not null || text.IsEmpty)
            {
                // Of a pipeline or a string with several statements, the part before the error may have been carried out.
                session.CustomParameters.NoteName(variable.Name);
                VariableExecutor.Suspect(session, server, StateKinds.Settings);
            }
            else if (VariableExecutor.Handles(variable))
            {
                VariableExecutor.Remember(session, variable, Encoding.UTF8.GetString(text.Span), [server], isRaw: true);
            }
        }
        else if (shape.Transaction is { } command && session.Relay.Error is null)
        {
            Follow(session, command, server);
        }
    }

    private static void Follow(Session session, TransactionSummary command, ServerConnection server)
    {
        var transaction = session.Transaction;
        var isOpen = server.Status == (byte)'T';
        switch (command.Verb)
        {
            case TransactionVerb.Begin or TransactionVerb.StartTransaction when isOpen && transaction.State == BlockState.Idle:
                transaction.Begin(session.Settings, command.HasOptions ? command.OptionsText : null, isImplicit: false);
                transaction.Join(server);
                break;
            case TransactionVerb.Commit or TransactionVerb.Rollback when isOpen && command.Chain && transaction.State != BlockState.Idle:
                var options = transaction.HasPlainBegin ? null : transaction.BeginSql["BEGIN ".Length..];
                transaction.End();
                transaction.Begin(session.Settings, options, isImplicit: false);
                transaction.Join(server);
                break;
            case TransactionVerb.Savepoint when isOpen && transaction.State == BlockState.InBlock:
                transaction.AddSavepoint(command.Name!, session.Settings);
                break;
            case TransactionVerb.ReleaseSavepoint when isOpen && transaction.FindSavepoint(command.Name!) is >= 0 and var index:
                transaction.CutSavepoints(index);
                break;
            case TransactionVerb.RollbackToSavepoint when isOpen && transaction.State != BlockState.Idle:
                transaction.State = BlockState.InBlock;
                if (transaction.FindSavepoint(command.Name!) is >= 0 and var last)
                {
                    var savepoint = transaction.Savepoints[last];
                    session.Settings = savepoint.Settings;
                    server.Settings = savepoint.Settings;
                    transaction.CutSettings(savepoint.SettingCount);
                    transaction.CutSavepoints(last + 1);
                }

                break;
        }
    }
}
