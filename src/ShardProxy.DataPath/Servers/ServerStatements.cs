namespace ShardProxy.DataPath.Servers;

/// <summary>
/// The canonical prepared statements one server connection holds, least recently used first out: bounded in number and in bytes of their
/// texts, for the server keeps a parse tree and a plan of each. The server names them <c>sp_&lt;id&gt;</c>.
/// </summary>
/// <param name="maximumBytes">Above it all but the last are given up.</param>
internal sealed class ServerStatements(int maximumBytes)
{
    /// <summary>Bound on prepared statements a server connection.</summary>
    public const int Maximum = 500;

    private readonly Dictionary<long, LinkedListNode<(long Id, int Bytes)>> _byId = [];
    private readonly LinkedList<(long Id, int Bytes)> _byUse = [];
    private long _bytes;

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

    /// <summary>Notes a statement as present. <see cref="TryEvict"/> is to be asked then.</summary>
    public void Add(long id, int bytes)
    {
        Remove(id);
        _byId[id] = _byUse.AddLast((id, bytes));
        _bytes += bytes;
    }

    /// <summary>Gives up the least recently used one while there are too many or too large ones; it has to be closed on the server.</summary>
    public bool TryEvict(out long id)
    {
        id = 0;
        if (_byId.Count <= 1 || (_byId.Count <= Maximum && _bytes <= maximumBytes))
        {
            return false;
        }

        id = _byUse.First!.Value.Id;
        Remove(id);
        return true;
    }

    /// <summary>
    /// The server still has it: the Close that should have ended it was skipped. It is the next to go; its size, which is not known any
    /// more, does not count until then.
    /// </summary>
    public void Restore(long id)
    {
        if (!_byId.ContainsKey(id))
        {
            _byId[id] = _byUse.AddFirst((id, 0));
        }
    }

    /// <summary>The server does not have it (its Parse failed, or it was closed).</summary>
    public void Remove(long id)
    {
        if (_byId.Remove(id, out var node))
        {
            _byUse.Remove(node);
            _bytes -= node.Value.Bytes;
        }
    }

    /// <summary>DISCARD ALL or DEALLOCATE ALL ran on the server.</summary>
    public void Clear()
    {
        _byId.Clear();
        _byUse.Clear();
        _bytes = 0;
    }
}
