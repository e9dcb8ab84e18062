using System.Net;
using System.Net.Sockets;

namespace ShardProxy.LocalCluster.Servers;

/// <summary>
/// Picks free TCP ports below the range from which operating systems take client ports: a node that restarts would
/// otherwise find its port taken by an outgoing connection. Picking is a guess; the server's own bind decides, and the
/// caller tries again.
/// </summary>
internal sealed class PortPicker
{
    private const int First = 20_000;
    private const int Count = 12_000;
    private const int Stride = 53;

    private readonly Lock _lock = new();
    private int _next;

    /// <param name="start">Where to begin, so that processes that start together seldom meet; the process id will do.</param>
    public PortPicker(int start) => _next = (int)((uint)start * Stride % Count);

    /// <summary>A port nobody listens on now; never the same twice until the range is through.</summary>
    public int Take()
    {
        lock (_lock)
        {
            for (var i = 0; i < Count; i++)
            {
                var port = First + _next;
                _next = (_next + 1) % Count;
                if (IsFree(port))
                {
                    return port;
                }
            }
        }

        throw new InvalidOperationException("no free TCP port between 20000 and 31999");
    }

    /// <summary>True when a listener could be bound to the port on 127.0.0.1 a moment ago.</summary>
    public static bool IsFree(int port)
    {
        using var listener = new TcpListener(IPAddress.Loopback, port);
        try
        {
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
