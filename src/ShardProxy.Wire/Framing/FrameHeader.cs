using System.Buffers;
using System.Buffers.Binary;

namespace ShardProxy.Wire.Framing;

/// <summary>
/// Header of one protocol v3 message: a tag byte and a length that counts itself but not the tag
/// (PostgreSQL documentation, "Message Formats").
/// </summary>
/// <param name="Tag">The message type byte.</param>
/// <param name="PayloadBytes">Bytes after the header.</param>
public readonly record struct FrameHeader(byte Tag, int PayloadBytes)
{
    /// <summary>Bytes of tag and length.</summary>
    public const int Bytes = 5;

    /// <summary>Whole size, header included.</summary>
    public int TotalBytes => Bytes + PayloadBytes;

    /// <summary>
    /// Reads a header at the start of <paramref name="buffer"/> without consuming it. False when fewer than five bytes are there.
    /// </summary>
    /// <exception cref="ProtocolException">The length is below four or above <paramref name="maxPayloadBytes"/>.</exception>
    public static bool TryRead(in ReadOnlySequence<byte> buffer, int maxPayloadBytes, out FrameHeader header)
    {
        var first = buffer.FirstSpan;
        if (first.Length >= Bytes)
        {
            header = Decode(first, maxPayloadBytes);
            return true;
        }

        if (buffer.Length < Bytes)
        {
            header = default;
            return false;
        }

        Span<byte> copy = stackalloc byte[Bytes];
        buffer.Slice(0, Bytes).CopyTo(copy);
        header = Decode(copy, maxPayloadBytes);
        return true;
    }

    /// <summary>Decodes a header from at least five contiguous bytes.</summary>
    public static FrameHeader Decode(ReadOnlySpan<byte> bytes, int maxPayloadBytes)
    {
        var length = BinaryPrimitives.ReadInt32BigEndian(bytes[1..]);
        if (length < 4 || length - 4 > maxPayloadBytes)
        {
            throw new ProtocolException("08P01", "invalid message length");
        }

        return new FrameHeader(bytes[0], length - 4);
    }
}
