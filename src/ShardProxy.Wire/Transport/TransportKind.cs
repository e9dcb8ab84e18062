namespace ShardProxy.Wire.Transport;

/// <summary>What drives the sockets.</summary>
public enum TransportKind
{
    /// <summary>The leanest that the system has: <see cref="Epoll"/> on Linux, else <see cref="Kestrel"/>.</summary>
    Auto,

    /// <summary>Event loops of our own over epoll: Linux on x86-64 and ARM64.</summary>
    Epoll,

    /// <summary>The transport of ASP.NET Core's web server: any system.</summary>
    Kestrel,
}
