using System.Net;
using System.Net.Sockets;

namespace ShardProxy.Wire.Transport;

/// <summary>A bound, listening address. Disposing stops it; connections already accepted live on.</summary>
public interface ITransportListener : IAsyncDisposable
{
    /// <summary>Where it listens, with the real port.</summary>
    IPEndPoint LocalEndPoint { get; }

    /// <summary>
    /// The next connection, or null once the listener is stopped. A connection that broke while it waited is passed over; when the
    /// process is out of descriptors the call waits for some to come free. One caller at a time.
    /// </summary>
    /// <exception cref="OperationCanceledException">The token was cancelled; the listener goes on.</exception>
    ValueTask<ITransportConnection?> AcceptAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Sends the listening socket to another process, through a Unix socket. From then on both may accept, and disposing this one leaves
    /// the other's open: connections that wait to be accepted are lost by neither.
    /// </summary>
    /// <exception cref="SocketException">It could not be sent.</exception>
    /// <exception cref="PlatformNotSupportedException">This transport cannot.</exception>
    void SendTo(Socket channel);
}
