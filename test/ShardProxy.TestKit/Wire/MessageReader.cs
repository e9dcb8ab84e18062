using System.Buffers.Binary;
using System.Text;

namespace ShardProxy.TestKit.Wire;

/// <summary>Reads the fields of one message's body. Reading past the end throws.</summary>
internal ref struct MessageReader(ReadOnlySpan<byte> body)
{
    private ReadOnlySpan<byte> _rest = body;

    public readonly bool IsAtEnd => _rest.IsEmpty;

    public byte Byte() => Take(1)[0];

    public short Int16() => BinaryPrimitives.ReadInt16BigEndian(Take(2));

    public int Int32() => BinaryPrimitives.ReadInt32BigEndian(Take(4));

    public string String()
    {
        var end = _rest.IndexOf((byte)0);
        var text = Encoding.UTF8.GetString(Take(end));
        Take(1);
        return text;
    }

    /// <summary>A length and the bytes; null when the length is -1.</summary>
    public byte[]? Value()
    {
        var length = Int32();
        return length < 0 ? null : Take(length).ToArray();
    }

    public ReadOnlySpan<byte> Take(int bytes)
    {
        var taken = _rest[..bytes];
        _rest = _rest[bytes..];
        return taken;
    }

    public readonly ReadOnlySpan<byte> Rest => _rest;
}
