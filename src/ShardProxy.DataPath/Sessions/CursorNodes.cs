using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Where a session's SQL cursors are: FETCH, MOVE and CLOSE name no table, they go where DECLARE went.</summary>
internal sealed class CursorNodes
{
    private readonly Dictionary<string, (ServerConnection Server, long Transaction)> _cursors = new(StringComparer.Ordinal);

    /// <summary>True for statements that go to a cursor.</summary>
    public static bool Concerns(StatementShape shape) => shape.Kind is StatementKind.Fetch or StatementKind.Close;

    /// <summary>CLOSE ALL; a cursor of that name stands in quotes.</summary>
    public static bool IsCloseAll(StatementShape shape) =>
        shape.Kind == StatementKind.Close && string.Equals(Word(shape.Text, -1), "all", StringComparison.OrdinalIgnoreCase);

    /// <summary>CLOSE ALL on the session's servers but one, which is to answer it.</summary>
    public static async ValueTask CloseElsewhereAsync(Session session, ServerConnection answering)
    {
        foreach (var server in session.HeldServers())
        {
            if (ReferenceEquals(server, answering) || server.IsBroken)
            {
                continue;
            }

            try
            {
                await SideDialog.RunAsync(server, "CLOSE ALL").ConfigureAwait(false);
                VariableExecutor.Suspect(session, server, StateKinds.Cursors);
            }
            catch (EndOfStreamException)
            {
                ServerLoss.Drop(session, server);
            }
        }
    }

    /// <summary>A DECLARE has succeeded on a server.</summary>
    public void Note(Session session, StatementShape shape, ServerConnection server)
    {
        // Those of earlier transactions are gone, but for the ones WITH HOLD, which keep their server.
        foreach (var (name, cursor) in _cursors)
        {
            if (!IsThere(session, cursor.Server, cursor.Transaction))
            {
                _cursors.Remove(name);
            }
        }

        _cursors[Word(shape.Text, 1)] = (server, session.Transaction.Number);
    }

    /// <summary>The node of the cursor a FETCH, MOVE or CLOSE names; null where it is not known: a function may have opened it.</summary>
    public Node? Find(Session session, StatementShape shape)
    {
        if (IsCloseAll(shape))
        {
            return session.FindHeld(session.HomeNode.Id) is null && session.HeldCount > 0 ? session.Held(0).Node : null;
        }

        if (_cursors.TryGetValue(Word(shape.Text, -1), out var cursor) && IsThere(session, cursor.Server, cursor.Transaction))
        {
            return cursor.Server.Node;
        }

        // What a function opened is where the transaction is, if that is one place.
        return session.Transaction.Participants is [var only] ? only.Node : null;
    }

    private static bool IsThere(Session session, ServerConnection server, long transaction) =>
        (transaction == session.Transaction.Number || (server.Found & StateKinds.Cursors) != 0) && ReferenceEquals(session.FindHeld(server.Node.Id), server);

    // The name is the second word of DECLARE and the last of the others; the text is normalised, so that the same name is the same word.
    private static string Word(string text, int index)
    {
        var words = text.Split((char[])[' ', ';'], StringSplitOptions.RemoveEmptyEntries);
        return words.Length < 2 ? "" : words[index < 0 ? words.Length - 1 : index];
    }
}
