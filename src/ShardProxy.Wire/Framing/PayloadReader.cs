using System.Buffers.Binary;

namespace ShardProxy.Wire.Framing;

/// <summary>
/// Walks one message's payload. Every read checks the bounds; reading past the end is the peer's fault.
/// </summary>
public ref struct PayloadReader(ReadOnlySpan<byte> payload)
{
    private readonly ReadOnlySpan<byte> _payload = payload;

    /// <summary>Offset of the next byte.</summary>
    public int Position { get; private set; }

    /// <summary>Bytes not read yet.</summary>
    public readonly int Remaining => _payload.Length - Position;

    public byte ReadByte() => Take(1)[0];

    public short ReadInt16() => BinaryPrimitives.ReadInt16BigEndian(Take(2));

    public int ReadInt32() => BinaryPrimitives.ReadInt32BigEndian(Take(4));

    public uint ReadUInt32() => BinaryPrimitives.ReadUInt32BigEndian(Take(4));

    /// <summary>A slice of the payload; lives as long as the payload does.</summary>
    public ReadOnlySpan<byte> ReadBytes(int count) => Take(count);

    /// <summary>A NUL-terminated string, without its NUL.</summary>
    public ReadOnlySpan<byte> ReadCString()
    {
        var rest = _payload[Position..];
        var end = rest.IndexOf((byte)0);
        if (end < 0)
        {
            throw new ProtocolException("08P01", "invalid string in message");
        }

        Position += end + 1;
        return rest[..end];
    }

    /// <summary>Demands that the whole payload was read.</summary>
    public readonly void RequireEnd()
    {
        if (Remaining != 0)
        {
            throw new ProtocolException("08P01", "invalid message format");
        }
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count < 0 || count > Remaining)
        {
            throw new ProtocolException("08P01", "insufficient data left in message");
        }

        var slice = _payload.Slice(Position, count);
        Position += count;
        return slice;
    }
}
