using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>
/// Passes one open descriptor with one byte through a Unix socket (unix(7), SCM_RIGHTS): the other process gets a descriptor of its own
/// for the same socket. Layouts are those of 64-bit Linux, the only system this transport runs on.
/// </summary>
internal static unsafe class DescriptorPassing
{
    private const int SocketLevel = 1;
    private const int Rights = 1;
    private const int CloseOnExec = 0x40000000;
    private const int HeaderBytes = 16;
    private const int ControlBytes = HeaderBytes + sizeof(long);
    private const byte Mark = (byte)'D';

    /// <summary>0, or errno.</summary>
    public static int Send(Socket channel, int descriptor)
    {
        var control = stackalloc byte[ControlBytes];
        var data = Mark;
        var vector = new Vector { Base = &data, Length = 1 };
        var message = new Message { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = ControlBytes };
        *(nint*)control = HeaderBytes + sizeof(int);
        *(int*)(control + 8) = SocketLevel;
        *(int*)(control + 12) = Rights;
        *(long*)(control + HeaderBytes) = descriptor;
        return NativeMethods.SendMessage((int)channel.SafeHandle.DangerousGetHandle(), &message, 0) == 1 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>The descriptor of the next byte, the caller's to close.</summary>
    /// <exception cref="SocketException">None came with it.</exception>
    public static int Receive(Socket channel)
    {
        var control = stackalloc byte[ControlBytes];
        byte data = 0;
        var vector = new Vector { Base = &data, Length = 1 };
        var message = new Message { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = ControlBytes };
        nint count;
        do
        {
            count = NativeMethods.ReceiveMessage((int)channel.SafeHandle.DangerousGetHandle(), &message, CloseOnExec);
        }
        while (count < 0 && Marshal.GetLastPInvokeError() == Errno.Interrupted);

        if (count < 0)
        {
            throw Errno.ToException(Marshal.GetLastPInvokeError());
        }

        var came = count == 1 && data == Mark && (int)message.ControlLength >= HeaderBytes + sizeof(int)
            && *(int*)(control + 8) == SocketLevel && *(int*)(control + 12) == Rights;
        return came ? *(int*)(control + HeaderBytes) : throw new SocketException((int)SocketError.NotSocket);
    }

    // struct iovec
    [StructLayout(LayoutKind.Sequential)]
    private struct Vector
    {
        public byte* Base;
        public nint Length;
    }

    // struct msghdr
    [StructLayout(LayoutKind.Sequential)]
    private struct Message
    {
        public void* Name;
        public nint NameLength;
        public Vector* Vectors;
        public nint VectorCount;
        public void* Control;
        public nint ControlLength;
        public nint Flags;
    }
}
