using System.Buffers.Binary;
using System.Text;

namespace ShardProxy.TestKit.Wire;

/// <summary>Builds one protocol message: a type byte (or none), the length, the body.</summary>
internal sealed class MessageBuilder
{
    private readonly List<byte> _bytes = [];
    private readonly int _lengthAt;

    /// <param name="type">The message's type, or null for the start-up family, which has none.</param>
    public MessageBuilder(char? type)
    {
        if (type is { } known)
        {
            _bytes.Add((byte)known);
        }

        _lengthAt = _bytes.Count;
        Int32(0);
    }

    public MessageBuilder Byte(byte value)
    {
        _bytes.Add(value);
        return this;
    }

    public MessageBuilder Int16(int value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteInt16BigEndian(bytes, (short)value);
        _bytes.AddRange(bytes);
        return this;
    }

    public MessageBuilder Int32(int value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        _bytes.AddRange(bytes);
        return this;
    }

    public MessageBuilder Bytes(ReadOnlySpan<byte> value)
    {
        _bytes.AddRange(value);
        return this;
    }

    /// <summary>The text in UTF-8 and a NUL.</summary>
    public MessageBuilder String(string value)
    {
        _bytes.AddRange(Encoding.UTF8.GetBytes(value));
        _bytes.Add(0);
        return this;
    }

    /// <summary>A length and the bytes; -1 alone for null.</summary>
    public MessageBuilder Value(byte[]? value) => value is null ? Int32(-1) : Int32(value.Length).Bytes(value);

    public byte[] ToArray()
    {
        var message = _bytes.ToArray();
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(_lengthAt), message.Length - _lengthAt);
        return message;
    }
}
