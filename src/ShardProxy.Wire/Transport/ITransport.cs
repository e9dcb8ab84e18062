using System.Net;
using System.Net.Sockets;

namespace ShardProxy.Wire.Transport;

/// <summary>
/// Byte streams over TCP, both directions of making one. A seam: what is above sees pipes only, so that the sockets below may be
/// driven by Kestrel's transport or by event loops of our own.
/// </summary>
public interface ITransport
{
    /// <summary>Binds and listens. Port 0 takes a free one.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The address cannot be bound.</exception>
    ValueTask<ITransportListener> ListenAsync(IPEndPoint endPoint, CancellationToken cancellationToken);

    /// <summary>
    /// Goes on with a listening socket that another process of this machine has sent (<see cref="ITransportListener.SendTo"/>): what has
    /// connected and was not accepted yet is accepted here. There has to be something to read on <paramref name="channel"/>.
    /// </summary>
    /// <exception cref="System.Net.Sockets.SocketException">Nothing that can be listened on came.</exception>
    /// <exception cref="PlatformNotSupportedException">This transport cannot.</exception>
    ITransportListener Receive(Socket channel);

    /// <summary>Opens a connection. The deadline is the caller's: it cancels the token.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">Refused, unreachable or reset.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled first; nothing is left open.</exception>
    ValueTask<ITransportConnection> ConnectAsync(IPEndPoint endPoint, CancellationToken cancellationToken);
}
