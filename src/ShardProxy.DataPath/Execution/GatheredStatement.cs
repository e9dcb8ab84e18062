using System.Buffers;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// A SELECT over several nodes that can be run on a workspace: its rows are gathered there, in a transaction that reads only, and it is prepared on them.
/// </summary>
/// <param name="Workspace">The server; leased for the session, in a transaction.</param>
/// <param name="Name">The prepared statement's name on it.</param>
/// <param name="Sql">The statement on the gathered rows.</param>
internal sealed record GatheredStatement(ServerConnection Workspace, string Name, byte[] Sql)
{
    /// <summary>Binds it to a portal of the client's name; the reply is hidden. Nothing is flushed.</summary>
    public void WriteBind(string portal, BoundParameters parameters)
    {
        var body = parameters.Payload[parameters.BodyOffset..];
        var portalName = Encoding.UTF8.GetBytes(portal);
        MessageWriter.Header(Workspace.Output, FrontendTag.Bind, portalName.Length + 1 + Name.Length + 1 + body.Length);
        MessageWriter.Text(Workspace.Output, portalName);
        MessageWriter.Text(Workspace.Output, Name);
        Workspace.Output.Write(body);
        Workspace.Owed.Enqueue(ReplyKind.Bind, isHidden: true);
        Workspace.HasUnsynced = true;
    }

    /// <summary>Undoes everything and gives the workspace back; one with something owed is closed instead.</summary>
    public async ValueTask EndAsync(Session session)
    {
        if (!session.HeldServers().Contains(Workspace))
        {
            // It was lost, and has been taken out of the session.
            return;
        }

        try
        {
            if (Workspace is { IsBroken: false, Owed.Count: 0, HasUnsynced: false, SkipsToSync: false })
            {
                await GatherExecutor.CloseAsync(Workspace).ConfigureAwait(false);
            }
            else
            {
                Workspace.MarkBroken();
            }
        }
        catch (EndOfStreamException)
        {
            // What was to be undone went with it.
        }

        SessionServers.Return(session, Workspace);
    }
}
