using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.DataPath.Types;
using ShardProxy.Model.Routing;

namespace ShardProxy.DataPath.Execution;

/// <summary>Makes sure, before anything is sent, that the parameters of a statement over several nodes can be written in each node's own type numbers.</summary>
internal static class CommandTypes
{
    /// <summary>The command with the types of its parameters where those matter and the client has not declared them; null when the error has been written.</summary>
    /// <exception cref="Model.Errors.ShardProxyException">SHP-230: some node is not known to have a type of the parameters.</exception>
    public static async ValueTask<NodeCommand?> PrepareAsync(Session session, RoutingTable table, NodeCommand command)
    {
        var parameters = command.Parameters!;
        if (TypeTable.IsOpen(parameters, command.ParameterTypes ?? parameters.TypeOids))
        {
            var home = await SessionServers.GetAsync(session, table.HomeNode).ConfigureAwait(false);
            var read = await SideDialog.OrLostAsync(StatementCheck.RunAsync(home, command.Sql, parameters.TypeOids)).ConfigureAwait(false);
            if (read is null)
            {
                ServerLoss.Report(session, home, mayHaveWritten: false);
                return null;
            }

            if (!read.IsOk)
            {
                session.Fail(read.ErrorPayload!);
                return null;
            }

            command = command with { ParameterTypes = read.ParameterTypes };
        }

        var types = command.ParameterTypes ?? parameters.TypeOids;
        foreach (var node in table.Nodes)
        {
            if ((session.FindHeld(node.Id)?.Types ?? session.Services.Holder.Types.Of(node.Id)) is { } numbers)
            {
                numbers.TypesOnNode(types);
                numbers.ValuesOnNode(parameters, types);
            }
        }

        return command;
    }
}
