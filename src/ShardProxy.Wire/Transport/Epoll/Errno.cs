using System.Net.Sockets;

namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>Linux's error numbers (the same on x86-64 and ARM64) that the transport tells apart.</summary>
internal static class Errno
{
    public const int Interrupted = 4;
    public const int Again = 11;
    public const int PermissionDenied = 13;
    public const int TooManyOpenFilesInSystem = 23;
    public const int TooManyOpenFiles = 24;
    public const int BrokenPipe = 32;
    public const int ConnectionAborted = 103;
    public const int ConnectionReset = 104;
    public const int NoBufferSpace = 105;
    public const int InProgress = 115;

    /// <summary>The exception the framework's own sockets would throw.</summary>
    public static SocketException ToException(int errno) => new((int)(errno switch
    {
        PermissionDenied => SocketError.AccessDenied,
        TooManyOpenFiles or TooManyOpenFilesInSystem => SocketError.TooManyOpenSockets,
        BrokenPipe => SocketError.Shutdown,
        97 => SocketError.AddressFamilyNotSupported,
        98 => SocketError.AddressAlreadyInUse,
        99 => SocketError.AddressNotAvailable,
        100 => SocketError.NetworkDown,
        101 => SocketError.NetworkUnreachable,
        ConnectionAborted => SocketError.ConnectionAborted,
        ConnectionReset => SocketError.ConnectionReset,
        NoBufferSpace => SocketError.NoBufferSpaceAvailable,
        110 => SocketError.TimedOut,
        111 => SocketError.ConnectionRefused,
        112 => SocketError.HostDown,
        113 => SocketError.HostUnreachable,
        _ => SocketError.SocketError,
    }));
}
