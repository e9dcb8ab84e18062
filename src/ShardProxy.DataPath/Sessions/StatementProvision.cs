using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Gives server connections the prepared statements and portals a client's requests need.</summary>
internal static class StatementProvision
{
    /// <summary>
    /// Makes sure the server has the statement. A Parse the client waits for (<paramref name="isPending"/>) is answered by the server
    /// itself, so that its reply is in order with the others.
    /// </summary>
    public static void Provide(ServerConnection server, PreparedStatement statement, bool isPending)
    {
        if (statement.IsOfSql)
        {
            return;
        }

        var has = statement.CanonicalId == 0 ? ReferenceEquals(server.UnnamedStatement, statement) : server.Statements.Touch(statement.CanonicalId);
        if (has && !isPending)
        {
            return;
        }

        var types = TypedStatements.TypesOn(server, statement);
        if (has)
        {
            // Somebody else prepared it here, perhaps before DDL the proxy knows nothing of: what this client parses now is what it gets.
            MessageWriter.Target(server.Output, FrontendTag.Close, (byte)'S', statement.ServerName);
            server.Owed.Enqueue(ReplyKind.Close, isHidden: true, canonicalId: statement.CanonicalId);
            TypedStatements.WriteParse(server, statement.ServerName, statement, types);
            server.Owed.Enqueue(ReplyKind.Parse, isHidden: false, statement, statement.CanonicalId);
        }
        else
        {
            TypedStatements.WriteParse(server, statement.ServerName, statement, types);
            server.Owed.Enqueue(ReplyKind.Parse, isHidden: !isPending, statement, statement.CanonicalId);
            if (statement.CanonicalId == 0)
            {
                server.UnnamedStatement = statement;
            }
            else
            {
                server.Statements.Add(statement.CanonicalId, statement.Bytes);
            }

            while (statement.CanonicalId != 0 && server.Statements.TryEvict(out var evicted))
            {
                MessageWriter.Target(server.Output, FrontendTag.Close, (byte)'S', CanonicalStatements.NameOf(evicted));
                server.Owed.Enqueue(ReplyKind.Close, isHidden: true, canonicalId: evicted);
            }
        }

        server.HasUnsynced = true;
    }

    /// <summary>Makes sure the server has a named statement, and waits for it; nothing else may be owed. The payload of the error when it is refused, else null.</summary>
    /// <exception cref="EndOfStreamException">The server was lost; it is marked broken.</exception>
    public static async ValueTask<byte[]?> ProvideNowAsync(ServerConnection server, PreparedStatement statement)
    {
        if (server.Statements.Touch(statement.CanonicalId))
        {
            return null;
        }

        MessageWriter.Parse(server.Output, statement.ServerName, statement.Sql, statement.EncodedTypes);
        var result = await SyncAsync(server).ConfigureAwait(false);
        if (!result.IsOk)
        {
            return result.ErrorPayload;
        }

        server.Statements.Add(statement.CanonicalId, statement.Bytes);
        while (server.Statements.TryEvict(out var evicted))
        {
            MessageWriter.Target(server.Output, FrontendTag.Close, (byte)'S', CanonicalStatements.NameOf(evicted));
            await SyncAsync(server).ConfigureAwait(false);
        }

        return null;
    }

    /// <summary>Takes a named statement from a server, which is not what the client means any more: the next one is prepared anew. Nothing else may be owed.</summary>
    /// <exception cref="EndOfStreamException">The server was lost; it is marked broken.</exception>
    public static async ValueTask WithdrawAsync(ServerConnection server, PreparedStatement statement)
    {
        server.Statements.Remove(statement.CanonicalId);
        MessageWriter.Target(server.Output, FrontendTag.Close, (byte)'S', statement.ServerName);
        await SyncAsync(server).ConfigureAwait(false);
    }

    private static async ValueTask<DialogResult> SyncAsync(ServerConnection server)
    {
        MessageWriter.Empty(server.Output, FrontendTag.Sync);
        server.Owed.Enqueue(ReplyKind.Sync, isHidden: true);
        await server.Output.FlushAsync().ConfigureAwait(false);
        return await SideDialog.CollectAsync(server).ConfigureAwait(false);
    }

    /// <summary>Writes a portal's Bind with the statement's name on the server.</summary>
    public static void WriteBind(ServerConnection server, Portal portal, string portalName, bool isHidden = false)
    {
        var types = portal.Statement.ParameterTypes ?? portal.Statement.TypeOids;
        var payload = server.Types?.ValuesOnNode(portal.Parameters, types) is { Length: > 0 } translated ? translated : portal.Parameters.Payload;
        var body = payload[portal.Parameters.BodyOffset..];
        var serverName = portal.Statement.ServerName;
        var nameBytes = portalName.Length == 0 ? [] : Encoding.UTF8.GetBytes(portalName);
        MessageWriter.Header(server.Output, FrontendTag.Bind, nameBytes.Length + 1 + serverName.Length + 1 + body.Length);
        MessageWriter.Text(server.Output, nameBytes);
        MessageWriter.Text(server.Output, serverName);
        System.Buffers.BuffersExtensions.Write(server.Output, body);
        server.Owed.Enqueue(ReplyKind.Bind, isHidden);
        server.HasUnsynced = true;
    }
}
