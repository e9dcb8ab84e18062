using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>
/// One socket's descriptor, counted while in use: the system gives a closed descriptor's number to the next socket, so closing one that
/// another thread is just writing to could put one client's bytes into another's stream. It is closed when the owner has let it go
/// and the last call on it has returned. (Two interlocked operations a system call: 10 ns of its 2,000 or more.)
/// </summary>
internal sealed class SocketDescriptor(int number)
{
    private const int NonBlockingCloseOnExec = 0x800 | 0x80000;
    private const int NoSignal = 0x4000;
    private const int TcpLevel = 6;
    private const int SocketLevel = 1;

    // The owner's use is the first; from 0 nobody can take it up again.
    private int _uses = 1;
    private int _letGo;

    /// <summary>Type flags for sockets and accepts.</summary>
    public static int CreationFlags => NonBlockingCloseOnExec;

    /// <summary>Receives into <paramref name="buffer"/>: the count, 0 at the end of the stream, or -errno.</summary>
    public unsafe int Receive(Span<byte> buffer)
    {
        if (!TryUse())
        {
            return -Errno.ConnectionAborted;
        }

        nint count;
        fixed (byte* at = buffer)
        {
            do
            {
                count = NativeMethods.Receive(number, at, (nuint)buffer.Length, 0);
            }
            while (count < 0 && Marshal.GetLastPInvokeError() == Errno.Interrupted);
        }

        var result = count < 0 ? -Marshal.GetLastPInvokeError() : (int)count;
        Release();
        return result;
    }

    /// <summary>Sends what the socket takes: the count, or -errno.</summary>
    public unsafe int Send(ReadOnlySpan<byte> bytes)
    {
        if (!TryUse())
        {
            return -Errno.ConnectionAborted;
        }

        nint count;
        fixed (byte* at = bytes)
        {
            do
            {
                count = NativeMethods.Send(number, at, (nuint)bytes.Length, NoSignal);
            }
            while (count < 0 && Marshal.GetLastPInvokeError() == Errno.Interrupted);
        }

        var result = count < 0 ? -Marshal.GetLastPInvokeError() : (int)count;
        Release();
        return result;
    }

    /// <summary>Takes a waiting connection off a listening socket: its descriptor, or -errno. The peer's address goes to <paramref name="address"/>.</summary>
    public unsafe int Accept(Span<byte> address, out int addressBytes)
    {
        addressBytes = 0;
        if (!TryUse())
        {
            return -Errno.ConnectionAborted;
        }

        int accepted;
        var length = (uint)address.Length;
        fixed (byte* at = address)
        {
            do
            {
                accepted = NativeMethods.Accept(number, at, &length, NonBlockingCloseOnExec);
            }
            while (accepted < 0 && Marshal.GetLastPInvokeError() == Errno.Interrupted);
        }

        var result = accepted < 0 ? -Marshal.GetLastPInvokeError() : accepted;
        addressBytes = (int)length;
        Release();
        return result;
    }

    /// <summary>Binds and listens; returns the real address. An IPv6 wildcard takes IPv4 too.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The address cannot be bound.</exception>
    public unsafe IPEndPoint Listen(IPEndPoint endPoint, int backlog)
    {
        const int reuseAddress = 2;
        const int internet6Level = 41;
        const int onlyVersion6 = 26;
        SetOption(SocketLevel, reuseAddress, 1);
        if (endPoint.AddressFamily == AddressFamily.InterNetworkV6)
        {
            SetOption(internet6Level, onlyVersion6, endPoint.Address.Equals(IPAddress.IPv6Any) ? 0 : 1);
        }

        var length = (uint)SocketName.MaxBytes;
        var bound = stackalloc byte[SocketName.MaxBytes];
        fixed (byte* at = SocketName.Write(endPoint).Span)
        {
            if (NativeMethods.Bind(number, at, (uint)SocketName.Write(endPoint).Length) < 0
                || NativeMethods.Listen(number, backlog) < 0
                || NativeMethods.LocalName(number, bound, &length) < 0)
            {
                throw Errno.ToException(Marshal.GetLastPInvokeError());
            }
        }

        return SocketName.Read(new ReadOnlySpan<byte>(bound, (int)length))!;
    }

    /// <summary>Begins to connect: 0 when connected already, or -errno; <see cref="Errno.InProgress"/> when it is under way.</summary>
    public unsafe int Connect(ReadOnlySpan<byte> address)
    {
        if (!TryUse())
        {
            return -Errno.ConnectionAborted;
        }

        int result;
        fixed (byte* at = address)
        {
            result = NativeMethods.Connect(number, at, (uint)address.Length) < 0 ? -Marshal.GetLastPInvokeError() : 0;
        }

        Release();

        // An interrupted connect goes on in the background like any other of a non-blocking socket.
        return result == -Errno.Interrupted ? -Errno.InProgress : result;
    }

    /// <summary>The error the socket has met, 0 for none; reading it takes it away.</summary>
    public unsafe int TakeError()
    {
        const int errorOption = 4;
        if (!TryUse())
        {
            return Errno.ConnectionAborted;
        }

        int value;
        uint length = sizeof(int);
        var result = NativeMethods.GetOption(number, SocketLevel, errorOption, &value, &length) < 0 ? Marshal.GetLastPInvokeError() : value;
        Release();
        return result;
    }

    /// <summary>
    /// No Nagle, and keep-alive probes. A listening socket hands these down to those it accepts (tcp(7)). Errors are ignored: the peer may
    /// be gone already, which the first read tells.
    /// </summary>
    public void SetTcpOptions(SocketTransportOptions options)
    {
        SetOption(TcpLevel, 1, 1);
        SetOption(SocketLevel, 9, 1);
        SetOption(TcpLevel, 4, options.KeepAliveTimeSeconds);
        SetOption(TcpLevel, 5, options.KeepAliveIntervalSeconds);
        SetOption(TcpLevel, 6, options.KeepAliveProbes);
    }

    /// <summary>Has the loop report what happens to the socket, once for each change (edge-triggered): 0, or errno.</summary>
    public int Register(EventLoop loop, Pollable target)
    {
        if (!TryUse())
        {
            return Errno.ConnectionAborted;
        }

        var errno = loop.Register(number, target);
        Release();
        return errno;
    }

    /// <summary>Has the loop forget the socket, which may live on in another process.</summary>
    public void Unregister(EventLoop loop, Pollable target)
    {
        if (TryUse())
        {
            loop.Unregister(number, target);
            Release();
        }
    }

    /// <summary>Sends the descriptor through a Unix socket: 0, or errno.</summary>
    public int SendTo(Socket channel)
    {
        if (!TryUse())
        {
            return Errno.ConnectionAborted;
        }

        var errno = DescriptorPassing.Send(channel, number);
        Release();
        return errno;
    }

    /// <summary>Where the socket listens; null if it does not, or is none of TCP.</summary>
    public unsafe IPEndPoint? ListeningAt()
    {
        const int acceptsConnections = 30;
        int accepts;
        uint size = sizeof(int);
        var length = (uint)SocketName.MaxBytes;
        var bound = stackalloc byte[SocketName.MaxBytes];
        return NativeMethods.GetOption(number, SocketLevel, acceptsConnections, &accepts, &size) == 0 && accepts != 0 && NativeMethods.LocalName(number, bound, &length) == 0
            ? SocketName.Read(new ReadOnlySpan<byte>(bound, (int)length))
            : null;
    }

    /// <summary>Ends the stream in both directions, or only the sending one; whoever waits for the socket is woken. Never fails.</summary>
    public void Shutdown(bool both)
    {
        if (TryUse())
        {
            _ = NativeMethods.Shutdown(number, both ? 2 : 1);
            Release();
        }
    }

    /// <summary>The owner lets go: closed as soon as no call on it is under way. Idempotent.</summary>
    public void LetGo()
    {
        if (Interlocked.Exchange(ref _letGo, 1) == 0)
        {
            Release();
        }
    }

    private unsafe void SetOption(int level, int name, int value)
    {
        if (TryUse())
        {
            _ = NativeMethods.SetOption(number, level, name, &value, sizeof(int));
            Release();
        }
    }

    private bool TryUse()
    {
        var uses = Volatile.Read(ref _uses);
        while (uses != 0)
        {
            var seen = Interlocked.CompareExchange(ref _uses, uses + 1, uses);
            if (seen == uses)
            {
                return true;
            }

            uses = seen;
        }

        return false;
    }

    private void Release()
    {
        if (Interlocked.Decrement(ref _uses) == 0)
        {
            _ = NativeMethods.Close(number);
        }
    }
}
