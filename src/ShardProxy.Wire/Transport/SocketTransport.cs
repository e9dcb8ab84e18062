using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace ShardProxy.Wire.Transport;

/// <summary>
/// Kestrel's socket transport behind <see cref="ITransport"/>: continuations run inline, idle connections hold no buffer (the
/// socket is waited on with a zero-byte read), both pipes have explicit thresholds, Nagle's algorithm is off.
/// </summary>
public sealed class SocketTransport : ITransport, IDisposable
{
    private const string InlineCompletionsVariable = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    private readonly SocketTransportOptions _options;
    private readonly SocketConnectionContextFactory _contexts;

    public SocketTransport(SocketTransportOptions options, ILoggerFactory loggerFactory)
    {
        _options = options;
        _contexts = new SocketConnectionContextFactory(
            new SocketConnectionFactoryOptions
            {
                MaxReadBufferSize = options.ReadThresholdBytes,
                MaxWriteBufferSize = options.WriteThresholdBytes,
                WaitForDataBeforeAllocatingBuffer = true,
                UnsafePreferInlineScheduling = true,
            },
            loggerFactory.CreateLogger("ShardProxy.Wire.Transport"));
    }

    public SocketTransport(SocketTransportOptions options)
        : this(options, Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance)
    {
    }

    /// <summary>
    /// Makes the runtime complete socket operations on the thread that polls them, which about halves the processor time of a
    /// relayed transaction. Has an effect only before the first socket of the process exists; a value the user has set stays.
    /// </summary>
    public static void EnableInlineCompletions()
    {
        if (Environment.GetEnvironmentVariable(InlineCompletionsVariable) is null)
        {
            Environment.SetEnvironmentVariable(InlineCompletionsVariable, "1");
        }
    }

    /// <inheritdoc/>
    public ValueTask<ITransportListener> ListenAsync(IPEndPoint endPoint, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (endPoint.Address.Equals(IPAddress.IPv6Any))
            {
                socket.DualMode = true;
            }

            socket.Bind(endPoint);
            socket.Listen(_options.Backlog);
            return new ValueTask<ITransportListener>(new SocketListener(socket, Wrap, _options.TimeProvider));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public ITransportListener Receive(Socket channel) => throw new PlatformNotSupportedException("listening sockets are handed over by the epoll transport only");

    /// <inheritdoc/>
    public async ValueTask<ITransportConnection> ConnectAsync(IPEndPoint endPoint, CancellationToken cancellationToken)
    {
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false);
            return Wrap(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Frees the buffers' pool. Connections have to be disposed before.</summary>
    public void Dispose() => _contexts.Dispose();

    private SocketConnection Wrap(Socket socket)
    {
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, _options.KeepAliveTimeSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, _options.KeepAliveIntervalSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, _options.KeepAliveProbes);
        return new SocketConnection(_contexts.Create(socket), _options);
    }
}
