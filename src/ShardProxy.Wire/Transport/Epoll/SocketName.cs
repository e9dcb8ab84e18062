using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>Socket addresses between the system's form (ip(7), ipv6(7)) and the framework's.</summary>
internal static class SocketName
{
    /// <summary>Room for any address.</summary>
    public const int MaxBytes = 128;

    private const int InternetFamily = 2;
    private const int Internet6Family = 10;

    /// <summary>The system's number of an address family.</summary>
    public static int Family(IPEndPoint endPoint) => endPoint.AddressFamily == AddressFamily.InterNetworkV6 ? Internet6Family : InternetFamily;

    /// <summary>The address as bind and connect take it.</summary>
    public static ReadOnlyMemory<byte> Write(IPEndPoint endPoint)
    {
        var address = endPoint.Serialize();
        return address.Buffer[..address.Size];
    }

    /// <summary>Reads an address that the system has written; null when it is none of the two kinds.</summary>
    public static IPEndPoint? Read(ReadOnlySpan<byte> name)
    {
        if (name.Length < 16)
        {
            return null;
        }

        var port = BinaryPrimitives.ReadUInt16BigEndian(name[2..]);
        return BitConverter.ToUInt16(name) switch
        {
            InternetFamily => new IPEndPoint(new IPAddress(name.Slice(4, 4)), port),
            Internet6Family when name.Length >= 28 => new IPEndPoint(new IPAddress(name.Slice(8, 16), BitConverter.ToUInt32(name[24..])), port),
            _ => null,
        };
    }
}
