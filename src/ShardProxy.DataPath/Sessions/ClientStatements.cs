namespace ShardProxy.DataPath.Sessions;

/// <summary>The prepared statements and portals of one client by its own names.</summary>
internal sealed class ClientStatements(Session session)
{
    private readonly Dictionary<string, Portal> _portals = new(StringComparer.Ordinal);
    private readonly Portal _unnamedPortal = new();
    private PreparedStatement? _unnamed;

    /// <summary>Named statements.</summary>
    public int StatementCount => session.Prepared.Count;

    /// <summary>Named portals.</summary>
    public int PortalCount => _portals.Count;

    /// <summary>The statement of that name (empty: the unnamed one), or null.</summary>
    public PreparedStatement? Find(string name) =>
        (name.Length == 0 ? _unnamed : session.Prepared.Find(name)) is { IsGone: false } statement ? statement : null;

    /// <summary>Why one more may not be prepared, or null.</summary>
    public Model.Errors.ShardProxyError? Refusal(string name, int sqlBytes)
    {
        var options = session.Services.Options;
        return name.Length == 0 ? null // there is one at a time
            : StatementCount >= options.MaxPreparedPerClient ? SessionErrors.TooManyStatements
            : session.Prepared.Bytes + sqlBytes > options.MaxPreparedBytesPerClient ? SessionErrors.StatementsTooLarge
            : null;
    }

    public void Add(PreparedStatement statement)
    {
        if (statement.Name.Length == 0)
        {
            _unnamed = statement;
        }
        else
        {
            session.Prepared.Set(statement);
        }
    }

    public void Remove(string name)
    {
        if (name.Length == 0)
        {
            _unnamed = null;
        }
        else
        {
            session.Prepared.Remove(name, out _);
        }
    }

    /// <summary>The portal of that name, or null. A portal ends with its transaction: its server may be another client's by now.</summary>
    public Portal? FindPortal(string name) =>
        (name.Length == 0 ? _unnamedPortal : _portals.GetValueOrDefault(name)) is { Statement: not null, Open: null or { IsClosed: false } } portal && portal.TransactionNumber == session.Transaction.Number
            ? portal
            : null;

    /// <summary>The portal of that name, made when there is none.</summary>
    public Portal PortalFor(string name) =>
        name.Length == 0 ? _unnamedPortal : _portals.TryGetValue(name, out var found) ? found : _portals[name] = new Portal();

    public void RemovePortal(string name)
    {
        if (name.Length == 0)
        {
            // It is of no transaction until it is bound anew.
            _unnamedPortal.TransactionNumber = -1;
        }
        else
        {
            _portals.Remove(name);
        }
    }

    public void ClearPortals() => _portals.Clear();

    /// <summary>Writes PostgreSQL's error for a statement that is not there.</summary>
    public void NoStatement(string name) =>
        session.Fail("26000", name.Length == 0 ? "unnamed prepared statement does not exist" : $"prepared statement \"{name}\" does not exist");

    /// <summary>Writes PostgreSQL's error for a statement (S) or portal (P) that is not there.</summary>
    public void NotThere(byte kind, string name)
    {
        if (kind == (byte)'S')
        {
            NoStatement(name);
        }
        else
        {
            session.Fail("34000", $"portal \"{name}\" does not exist");
        }
    }
}
