namespace ShardProxy.DataPath.Servers;

/// <summary>
/// The canonical prepared statements one server connection holds, least recently used first out. The server names them
/// <c>sp_&lt;id&gt;</c>.
/// </summary>
internal sealed class ServerStatements
{
    /// <summary>Bound on prepared statements a server connection.</summary>
    public const int Maximum = 500;

    private readonly Dictionary<long, LinkedListNode<long>> _byId = [];
    private readonly LinkedList<long> _byUse = [];

    /// <summary>True when the server has it; marks it used.</summary>
    public bool Touch(long id)
    {
        if (!_byId.TryGetValue(id, out var node))
        {
            return false;
        }

        if (!ReferenceEquals(_byUse.Last, node))
        {
            _byUse.Remove(node);
            _byUse.AddLast(node);
        }

        return true;
    }

    /// <summary>Notes a statement as present. Returns the id that must be closed on the server to keep the bound, or null.</summary>
    public long? Add(long id)
    {
        long? evicted = null;
        if (_byId.Count >= Maximum)
        {
            evicted = _byUse.First!.Value;
            Remove(evicted.Value);
        }

        _byId[id] = _byUse.AddLast(id);
        return evicted;
    }

    /// <summary>The server still has it: the Close that should have ended it was skipped.</summary>
    public void Restore(long id)
    {
        if (!_byId.ContainsKey(id))
        {
            _byId[id] = _byUse.AddFirst(id);
        }
    }

    /// <summary>The server does not have it (its Parse failed, or it was closed).</summary>
    public void Remove(long id)
    {
        if (_byId.Remove(id, out var node))
        {
            _byUse.Remove(node);
        }
    }

    /// <summary>DISCARD ALL or DEALLOCATE ALL ran on the server.</summary>
    public void Clear()
    {
        _byId.Clear();
        _byUse.Clear();
    }
}
