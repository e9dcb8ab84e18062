namespace ShardProxy.DataPath.Servers;

/// <summary>A pool's idle connections, the one used last on top. Guarded by the pool's lock; what cannot be used any more goes to <paramref name="forget"/>.</summary>
internal sealed class IdleServers(Action<ServerConnection> forget)
{
    private readonly List<ServerConnection> _servers = [];

    public int Count => _servers.Count;

    public void Push(ServerConnection server) => _servers.Add(server);

    /// <summary>One that still lives: the given one, else the one used last of those nobody's process id stands for, else any.</summary>
    /// <param name="own">The one whose process id the client was told, or null.</param>
    /// <param name="unassignedOnly">None that stands for another client.</param>
    public ServerConnection? Take(ServerConnection? own = null, bool unassignedOnly = false)
    {
        while (_servers.Count > 0)
        {
            var index = Choose(own, unassignedOnly);
            if (index < 0)
            {
                return null;
            }

            var server = _servers[index];
            _servers.RemoveAt(index);
            if (server.IsClean && !server.HasSpoken())
            {
                return server;
            }

            forget(server);
        }

        return null;
    }

    /// <summary>The given one, if it is idle and lives: whoever waits in line waits for another.</summary>
    public ServerConnection? TakeOwn(ServerConnection? own)
    {
        var index = own is null ? -1 : _servers.IndexOf(own);
        if (index < 0)
        {
            return null;
        }

        _servers.RemoveAt(index);
        if (own!.IsClean && !own.HasSpoken())
        {
            return own;
        }

        forget(own);
        return null;
    }

    // Of those that stand for others, the one idle longest: its client may be away.
    private int Choose(ServerConnection? own, bool unassignedOnly)
    {
        var unassigned = -1;
        for (var i = _servers.Count - 1; i >= 0; i--)
        {
            if (ReferenceEquals(_servers[i], own))
            {
                return i;
            }

            if (unassigned < 0 && _servers[i].AssignedTo is null)
            {
                unassigned = i;
            }
        }

        return unassigned >= 0 ? unassigned : unassignedOnly ? -1 : 0;
    }

    /// <summary>Gives up those idle longest.</summary>
    public void GiveUpOldest(int count)
    {
        for (var i = 0; i < count; i++)
        {
            forget(_servers[i]);
        }

        _servers.RemoveRange(0, count);
    }

    /// <summary>Gives up those that stand for no client; takes the pool's lock itself.</summary>
    public void GiveUpUnassigned(Lock gate)
    {
        lock (gate)
        {
            for (var i = _servers.Count - 1; i >= 0; i--)
            {
                if (_servers[i].AssignedTo is null)
                {
                    forget(_servers[i]);
                    _servers.RemoveAt(i);
                }
            }
        }
    }

    /// <summary>Gives up the one idle longest, if there is any.</summary>
    public bool TryGiveUpOldest()
    {
        if (_servers.Count == 0)
        {
            return false;
        }

        GiveUpOldest(1);
        return true;
    }

    /// <summary>Gives up the dead and the expired, and as many as can be spared of those idle since before <paramref name="oldest"/>.</summary>
    /// <param name="now">Coarse timestamp.</param>
    /// <param name="oldest">Coarse timestamp.</param>
    /// <param name="spare">How many the pool can do without.</param>
    /// <param name="surplus">How many it has to do without.</param>
    public void Sweep(long now, long oldest, int spare, int surplus)
    {
        for (var i = 0; i < _servers.Count;)
        {
            var server = _servers[i];
            if (server.IsClean && now < server.ExpiresAt && surplus <= 0 && (spare <= 0 || server.IdleSince >= oldest))
            {
                i++;
                continue;
            }

            _servers.RemoveAt(i);
            forget(server);
            spare--;
            surplus--;
        }
    }
}
