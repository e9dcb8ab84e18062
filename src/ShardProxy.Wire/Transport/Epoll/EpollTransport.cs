using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>
/// Linux's own transport behind <see cref="ITransport"/>: a few event loops over epoll, sockets read and written by whoever needs
/// them, continuations inline. A relayed transaction costs four system calls and its share of two waits.
/// </summary>
public sealed partial class EpollTransport : ITransport, IDisposable
{
    private readonly SocketTransportOptions _options;
    private readonly EventLoop[] _loops;
    private int _turn;

    /// <summary>Starts the loops' threads.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The process is out of descriptors.</exception>
    public EpollTransport(SocketTransportOptions options, ILoggerFactory loggerFactory)
    {
        var logger = loggerFactory.CreateLogger<EpollTransport>();
        _options = options;
        _loops = new EventLoop[options.EventLoops > 0 ? options.EventLoops : DefaultLoops];
        for (var i = 0; i < _loops.Length; i++)
        {
            _loops[i] = new EventLoop($"sockets {i + 1}", e => Log.ContinuationFailed(logger, e));
        }
    }

    public EpollTransport(SocketTransportOptions options)
        : this(options, NullLoggerFactory.Instance)
    {
    }

    /// <summary>This system and processor are served.</summary>
    public static bool IsSupported =>
        OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64;

    private static int DefaultLoops => Math.Max(1, Environment.ProcessorCount / 2);

    /// <inheritdoc/>
    public ValueTask<ITransportListener> ListenAsync(IPEndPoint endPoint, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return new ValueTask<ITransportListener>(EpollListener.Open(endPoint, _loops[0], NextLoop, _options));
    }

    /// <inheritdoc/>
    public ITransportListener Receive(Socket channel) => EpollListener.Adopt(DescriptorPassing.Receive(channel), _loops[0], NextLoop, _options);

    /// <inheritdoc/>
    public async ValueTask<ITransportConnection> ConnectAsync(IPEndPoint endPoint, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var number = NativeMethods.Socket(SocketName.Family(endPoint), 1 | SocketDescriptor.CreationFlags, 0);
        if (number < 0)
        {
            throw Errno.ToException(Marshal.GetLastPInvokeError());
        }

        var socket = new SocketDescriptor(number);
        socket.SetTcpOptions(_options);
        var connection = new EpollConnection(socket, NextLoop(), _options, endPoint);
        try
        {
            await connection.ConnectAsync(SocketName.Write(endPoint), cancellationToken).ConfigureAwait(false);
            return connection;
        }
        catch
        {
            connection.Abort();
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Stops the loops. Connections and listeners have to be disposed before.</summary>
    public void Dispose()
    {
        foreach (var loop in _loops)
        {
            loop.Dispose();
        }
    }

    private EventLoop NextLoop() => _loops[(uint)Interlocked.Increment(ref _turn) % (uint)_loops.Length];

    private static partial class Log
    {
        [LoggerMessage(1101, LogLevel.Error, "A continuation on a socket thread failed; its connection may hang")]
        public static partial void ContinuationFailed(ILogger logger, Exception exception);
    }
}
