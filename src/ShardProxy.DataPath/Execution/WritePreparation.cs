using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// What a write on several nodes needs before its parts can be sent: the types of parameters that only some parts have, and one moment in the place of now().
/// </summary>
internal static class WritePreparation
{
    /// <summary>Asks a server of the transaction. Null when the client has been told an error.</summary>
    /// <param name="session">The session.</param>
    /// <param name="server">Any of the servers it will run on.</param>
    /// <param name="command">The statement as the client has sent it.</param>
    /// <param name="reads">Its parts could be read otherwise than the whole: a server reads it first, whatever its parameters.</param>
    /// <returns>The command with its parameters' types; and the moment for <see cref="TransactionTimeText.Replace"/>, or null.</returns>
    /// <exception cref="EndOfStreamException">The server was lost.</exception>
    public static async ValueTask<(NodeCommand Command, string? Time)?> RunAsync(Session session, ServerConnection server, NodeCommand command, bool reads)
    {
        var text = Encoding.UTF8.GetString(command.Sql.Span);
        if (TransactionTimeText.HasMovingLiteral(text) || ReplicatedWriteGuard.HasMovingParameter(command.Parameters))
        {
            session.Fail(ExecutionErrors.GatherTime);
            return null;
        }

        var parameters = command.Parameters;
        var hasTypes = parameters is null || command.ParameterTypes is not null || (parameters.TypeOids.Length >= parameters.Count && parameters.TypeOids.All(t => t != 0));
        if (!hasTypes || reads)
        {
            var read = await StatementCheck.RunAsync(server, command.Sql, command.ParameterTypes ?? parameters?.TypeOids ?? []).ConfigureAwait(false);
            if (!read.IsOk)
            {
                session.Fail(read.ErrorPayload!);
                return null;
            }

            command = parameters is null ? command : command with { ParameterTypes = read.ParameterTypes };
        }

        if (!TransactionTimeText.HasTime(text))
        {
            return (command, null);
        }

        var (time, error) = await TransactionMoment.OfAsync(session, server).ConfigureAwait(false);
        if (time is null)
        {
            session.Fail(error!);
            return null;
        }

        return (command, time);
    }
}
