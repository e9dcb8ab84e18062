using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Servers;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// A result over several nodes that the client takes in pieces: a suspended portal, or a cursor. It stays open on a workspace of its own.
/// </summary>
/// <param name="Statement">What is open, and where.</param>
/// <param name="Cursor">The cursor's name as SQL writes it in its normal form; null for a portal.</param>
/// <param name="Transaction">The transaction it ends with: <see cref="SessionTransaction.Number"/>.</param>
internal sealed record OpenResult(GatheredStatement Statement, string? Cursor, long Transaction)
{
    /// <summary>Savepoints there were when it was opened, or what is left of them: a rollback to an earlier one closes it.</summary>
    public int Depth { get; set; }

    /// <summary>Nobody can ask for it any more.</summary>
    public bool IsClosed { get; set; }
}

/// <summary>
/// The open results of one session. Those that are over are ended between its requests (<see cref="SweepAsync"/>): by Close, CLOSE, the end of their
/// transaction, a rollback to a savepoint before them, an error in them.
/// </summary>
internal sealed class OpenResults(Session session)
{
    /// <summary>Each keeps a server connection.</summary>
    public const int MaxPerSession = 8;

    private readonly List<OpenResult> _results = [];

    /// <summary>One more may be opened.</summary>
    public bool HasRoom => _results.Count < MaxPerSession;

    /// <summary>The server is kept for one of them.</summary>
    public bool Keeps(ServerConnection server) => _results.Exists(r => ReferenceEquals(r.Statement.Workspace, server));

    /// <summary>Keeps a statement's workspace from now on.</summary>
    public OpenResult Add(GatheredStatement statement, string? cursor)
    {
        var result = new OpenResult(statement, cursor, session.Transaction.Number) { Depth = session.Transaction.Savepoints.Count };
        _results.Add(result);
        return result;
    }

    /// <summary>The server of the cursor of that name, or null.</summary>
    public ServerConnection? FindCursor(string name) =>
        _results.Find(r => !r.IsClosed && r.Transaction == session.Transaction.Number && string.Equals(r.Cursor, name, StringComparison.Ordinal))?.Statement.Workspace;

    /// <summary>The server of the cursor that a FETCH, MOVE or CLOSE names, or null.</summary>
    public ServerConnection? ServerFor(StatementShape shape) =>
        _results.Count > 0 && CursorNodes.Concerns(shape) && !CursorNodes.IsCloseAll(shape) ? FindCursor(CursorNodes.NameIn(shape)) : null;

    /// <summary>A statement of the client's has run on one of their servers.</summary>
    public void Follow(StatementShape shape, ServerConnection server)
    {
        if (shape.Kind == StatementKind.Close)
        {
            CloseOn(server);
        }
    }

    /// <summary>What is open on that server is over.</summary>
    public void CloseOn(ServerConnection? server)
    {
        foreach (var result in _results)
        {
            result.IsClosed |= ReferenceEquals(result.Statement.Workspace, server);
        }
    }

    /// <summary>CLOSE ALL.</summary>
    public void CloseAll() => _results.ForEach(static r => r.IsClosed = true);

    /// <summary>The savepoint of that index was released: what was opened since belongs to the one around it.</summary>
    public void ReleaseSavepoint(int index) => _results.ForEach(r => r.Depth = Math.Min(r.Depth, index));

    /// <summary>The transaction went back to the savepoint of that index: what was opened since is gone.</summary>
    public void RollBackTo(int index) => _results.ForEach(r => r.IsClosed |= r.Depth > index);

    /// <summary>Gives back what is over. Call with nothing under way.</summary>
    public async ValueTask SweepAsync()
    {
        for (var i = _results.Count - 1; i >= 0; i--)
        {
            var result = _results[i];
            if (result.IsClosed || result.Transaction != session.Transaction.Number || IsSpoilt(result.Statement.Workspace))
            {
                result.IsClosed = true;
                _results.RemoveAt(i);
                await result.Statement.EndAsync(session).ConfigureAwait(false);
            }
        }
    }

    // In a failed block the server itself says that nothing is done any more.
    private bool IsSpoilt(ServerConnection workspace) => workspace.IsBroken || (workspace.Status != (byte)'T' && session.Transaction.State != BlockState.Failed);
}
