using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// CREATE ROLE and ALTER ROLE with a password, once they have run on every node: each has made a verifier with a salt of its own, but what a client
/// proves with SCRAM opens only servers with the very verifier it was proven for. So the home node's is given to the others, in the same transaction.
/// </summary>
internal static class RolePasswords
{
    /// <summary>Runs behind the statement, in the transaction that is open on every node. False after it has written an error.</summary>
    public static async ValueTask<bool> SpreadAsync(Session session, RoutingTable table, StatementShape shape)
    {
        if (shape.Utility is { Object: UtilityObject.Role })
        {
            session.Services.RoleChanges.Note();
        }

        if (shape.Utility is not { Object: UtilityObject.Role } role || !shape.Text.Contains(" password ", StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        var name = !role.Names.IsEmpty ? SqlIdentifier.Literal(role.Names[0].Name).TrimStart()
            : shape.Text.Contains(" session_user ", StringComparison.OrdinalIgnoreCase) ? "session_user" : "current_user";
        var home = session.FindHeld(table.HomeNode.Id)!;

        // A refused question would fail the transaction: who may not read verifiers leaves each node with its own.
        if (await RunAsync(session, home, "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')").ConfigureAwait(false) is not { } allowed)
        {
            return false;
        }

        if (allowed.Rows is not [[[(byte)'t']]])
        {
            return true;
        }

        if (await RunAsync(session, home, $"SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolname OPERATOR(pg_catalog.=) {name}").ConfigureAwait(false) is not { } stored)
        {
            return false;
        }

        if (stored.Rows is not [[{ } found, { } secret]])
        {
            return true;
        }

        var sql = $"ALTER ROLE {SqlIdentifier.Quote(Encoding.UTF8.GetString(found))} PASSWORD {SqlIdentifier.Literal(Encoding.UTF8.GetString(secret))}";
        foreach (var node in table.Nodes.Where(n => !n.IsHome))
        {
            if (await RunAsync(session, session.FindHeld(node.Id)!, sql).ConfigureAwait(false) is null)
            {
                return false;
            }
        }

        return true;
    }

    private static async ValueTask<DialogResult?> RunAsync(Session session, ServerConnection server, string sql)
    {
        try
        {
            var result = await SideDialog.RunAsync(server, sql).ConfigureAwait(false);
            if (result.IsOk)
            {
                return result;
            }

            session.Fail(result.ErrorPayload!);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, server, mayHaveWritten: false);
        }

        return null;
    }
}
