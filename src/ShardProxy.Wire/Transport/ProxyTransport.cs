using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using ShardProxy.Wire.Transport.Epoll;

namespace ShardProxy.Wire.Transport;

/// <summary>The transport chosen for this process.</summary>
public sealed class ProxyTransport : ITransport, IDisposable
{
    private readonly ITransport _inner;

    private ProxyTransport(ITransport inner) => _inner = inner;

    /// <summary>
    /// To be called before the first socket of the process exists. Where this transport has loops of its own, the runtime's sockets are those of the control plane, and complete
    /// where they may wait: PostgreSQL's driver cancels a query while it blocks the thread, and who polls that socket must not be the one that waits for the cancel.
    /// </summary>
    public static void PrepareProcess()
    {
        if (!EpollTransport.IsSupported)
        {
            SocketTransport.EnableInlineCompletions();
        }
    }

    /// <summary>The kind in use, never <see cref="TransportKind.Auto"/>.</summary>
    public TransportKind Kind => _inner is EpollTransport ? TransportKind.Epoll : TransportKind.Kestrel;

    /// <summary>Makes the transport.</summary>
    /// <exception cref="PlatformNotSupportedException"><see cref="TransportKind.Epoll"/> was asked for by name and this system has none.</exception>
    public static ProxyTransport Create(TransportKind kind, SocketTransportOptions options, ILoggerFactory loggers) => new(kind switch
    {
        TransportKind.Kestrel => new SocketTransport(options, loggers),
        _ when EpollTransport.IsSupported => new EpollTransport(options, loggers),
        TransportKind.Auto => new SocketTransport(options, loggers),
        _ => throw new PlatformNotSupportedException("the epoll transport needs Linux on x86-64 or ARM64; use kestrel, or auto"),
    });

    /// <inheritdoc/>
    public ValueTask<ITransportListener> ListenAsync(IPEndPoint endPoint, CancellationToken cancellationToken) => _inner.ListenAsync(endPoint, cancellationToken);

    /// <inheritdoc/>
    public ITransportListener Receive(Socket channel) => _inner.Receive(channel);

    /// <inheritdoc/>
    public ValueTask<ITransportConnection> ConnectAsync(IPEndPoint endPoint, CancellationToken cancellationToken) => _inner.ConnectAsync(endPoint, cancellationToken);

    /// <summary>Frees threads and buffers. Connections have to be disposed before. Not on a socket's own thread.</summary>
    public void Dispose() => ((IDisposable)_inner).Dispose();
}
