namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>What happened to a socket (epoll_ctl(2)).</summary>
[Flags]
internal enum SocketEvents : uint
{
    None = 0,

    /// <summary>Bytes, a connection or the end of the stream can be read.</summary>
    Readable = 0x001,

    /// <summary>Bytes can be sent.</summary>
    Writable = 0x004,

    /// <summary>The socket has failed.</summary>
    Error = 0x008,

    /// <summary>Both directions are closed.</summary>
    HangUp = 0x010,

    /// <summary>The peer sends no more.</summary>
    PeerClosed = 0x2000,
}

/// <summary>Something an <see cref="EventLoop"/> watches or runs; its members are called on the loop's thread only.</summary>
internal abstract class Pollable
{
    /// <summary>The loop's key for it: slot and generation. 0 while it is not registered.</summary>
    internal ulong Key { get; set; }

    /// <summary>The socket has changed. Continuations may run inside.</summary>
    public abstract void OnEvents(SocketEvents events);

    /// <summary>Its turn has come after <see cref="EventLoop.Post"/>.</summary>
    public abstract void OnTurn();
}
