namespace ShardProxy.DataPath.Servers;

/// <summary>A pool's idle connections, the one used last on top. Guarded by the pool's lock; what cannot be used any more goes to <paramref name="forget"/>.</summary>
internal sealed class IdleServers(Action<ServerConnection> forget)
{
    private readonly List<ServerConnection> _servers = [];

    public int Count => _servers.Count;

    public void Push(ServerConnection server) => _servers.Add(server);

    /// <summary>The one used last that still lives.</summary>
    public ServerConnection? Take()
    {
        while (_servers.Count > 0)
        {
            var server = _servers[^1];
            _servers.RemoveAt(_servers.Count - 1);
            if (server.IsClean && !server.HasSpoken())
            {
                return server;
            }

            forget(server);
        }

        return null;
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
