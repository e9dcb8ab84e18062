using System.Buffers;
using System.Buffers.Binary;

namespace ShardProxy.Model.Keys;

/// <summary>
/// Keys of RANGE groups as bytes whose order (as <c>memcmp</c> has it) is the key types' own order in PostgreSQL, column after column: the order of
/// PostgreSQL's row comparison. Equal values have equal bytes whatever their type's width, scale or way of writing, so int2, int4 and int8 mix, and so do
/// text and varchar. No value's bytes begin another's, so the bytes of a key's first columns are a prefix of all keys that begin with them.
/// </summary>
public static class KeyOrder
{
    private const byte EndOfText = 0;

    /// <summary>int2, int4, int8; the days of a date and the microseconds of a timestamp, whose infinities are the extremes of their types.</summary>
    public static void Integer(long value, ArrayBufferWriter<byte> to)
    {
        BinaryPrimitives.WriteUInt64BigEndian(to.GetSpan(sizeof(long)), (ulong)value ^ (1UL << 63));
        to.Advance(sizeof(long));
    }

    /// <summary>Text in the order of collation "C": by the bytes of its UTF-8, a prefix first. PostgreSQL's text has no zero byte.</summary>
    public static void Text(ReadOnlySpan<byte> utf8, ArrayBufferWriter<byte> to)
    {
        var span = to.GetSpan(utf8.Length + 1);
        utf8.CopyTo(span);
        span[utf8.Length] = EndOfText;
        to.Advance(utf8.Length + 1);
    }

    /// <summary>The 16 bytes in the order they are written in.</summary>
    public static void Uuid(ReadOnlySpan<byte> uuid, ArrayBufferWriter<byte> to) => to.Write(uuid);

    /// <summary>−Infinity, numbers, Infinity, NaN: NaN is equal to itself and above all others.</summary>
    internal static void Numeric(in NumericValue value, ArrayBufferWriter<byte> to)
    {
        var digits = value.Digits;
        var span = to.GetSpan(sizeof(byte) + sizeof(int) + digits.Length + 1);
        span[0] = (byte)value.Class;
        if (value.Class is not (NumericClass.Negative or NumericClass.Positive))
        {
            to.Advance(1);
            return;
        }

        // Digits count from 1 so that the end sorts before any; below zero all bits are turned round.
        var flip = value.Class == NumericClass.Negative ? byte.MaxValue : (byte)0;
        BinaryPrimitives.WriteUInt32BigEndian(span[1..], (uint)value.Exponent ^ (1U << 31) ^ (flip == 0 ? 0 : uint.MaxValue));
        var at = 1 + sizeof(int);
        foreach (var digit in digits)
        {
            span[at++] = (byte)((digit + 1) ^ flip);
        }

        span[at++] = flip;
        to.Advance(at);
    }
}
