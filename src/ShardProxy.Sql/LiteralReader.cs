using System.Buffers;
using System.Text;

namespace ShardProxy.Sql;

/// <summary>Decodes literals. Every method says false rather than guess.</summary>
public static class LiteralReader
{
    private const ulong MaxMagnitude = 1UL << 63;

    /// <summary>
    /// The value of an <see cref="LiteralKind.Integer"/> literal.
    /// </summary>
    /// <param name="text">The text the literal was scanned from.</param>
    /// <param name="l">The literal.</param>
    /// <param name="negated">The statement has a minus sign before it (<see cref="KeySource.Negated"/>).</param>
    /// <param name="v">The value, sign included.</param>
    /// <returns>False for other kinds and for values outside a signed 64-bit integer.</returns>
    public static bool TryReadInt64(ReadOnlySpan<byte> text, in Literal l, bool negated, out long v)
    {
        v = 0;
        if (l.Kind != LiteralKind.Integer || !TryReadMagnitude(text.Slice(l.Offset, l.Length), out var magnitude) || magnitude >= MaxMagnitude)
        {
            return false;
        }

        v = negated ? -(long)magnitude : (long)magnitude;
        return true;
    }

    /// <summary>
    /// Writes the characters a string literal stands for, in UTF-8, to <paramref name="to"/>.
    /// </summary>
    /// <returns>
    /// False, with nothing or a part written, when the literal is no string or its value is not certain: <c>U&amp;''</c>, bit
    /// strings, literals continued over lines, and escapes that make bytes above 127 or invalid characters.
    /// </returns>
    public static bool TryReadText(ReadOnlySpan<byte> text, in Literal l, IBufferWriter<byte> to)
    {
        var slice = text.Slice(l.Offset, l.Length);
        switch (l.Kind)
        {
            case LiteralKind.String:
                return TryUnquote(slice[1..], false, to);
            case LiteralKind.EscapeString:
                return TryUnquote(slice[2..], true, to);
            case LiteralKind.DollarString:
                var tag = slice[1..].IndexOf((byte)'$') + 2;
                to.Write(slice[tag..^tag]);
                return true;
            default:
                return false;
        }
    }

    /// <summary>True when a run of digits is a value a signed 64-bit integer can hold.</summary>
    internal static bool FitsInt64(ReadOnlySpan<byte> digits) => TryReadMagnitude(digits, out var magnitude) && magnitude < MaxMagnitude;

    private static bool TryReadMagnitude(ReadOnlySpan<byte> digits, out ulong magnitude)
    {
        magnitude = 0;
        foreach (var c in digits)
        {
            var digit = (uint)(c - '0');
            if (digit > 9 || magnitude > (ulong.MaxValue - digit) / 10)
            {
                return false;
            }

            magnitude = (magnitude * 10) + digit;
        }

        return digits.Length > 0;
    }

    /// <param name="body">The literal after its opening quote, closing quote included.</param>
    private static bool TryUnquote(ReadOnlySpan<byte> body, bool hasEscapes, IBufferWriter<byte> to)
    {
        while (true)
        {
            var plain = hasEscapes ? body.IndexOfAny((byte)'\'', (byte)'\\') : body.IndexOf((byte)'\'');
            if (plain < 0)
            {
                return false;
            }

            to.Write(body[..plain]);
            body = body[plain..];
            if (body[0] == '\\')
            {
                var used = TryUnescape(body, to);
                if (used == 0)
                {
                    return false;
                }

                body = body[used..];
            }
            else if (body.Length == 1)
            {
                return true;
            }
            else if (body[1] == '\'')
            {
                to.Write("'"u8);
                body = body[2..];
            }
            else
            {
                // The literal goes on after a line end.
                return false;
            }
        }
    }

    /// <summary>Decodes one backslash escape (PostgreSQL documentation, section 4.1.2.2); 0 when it is not certain.</summary>
    private static int TryUnescape(ReadOnlySpan<byte> text, IBufferWriter<byte> to)
    {
        if (text.Length < 2)
        {
            return 0;
        }

        var c = text[1];
        switch (c)
        {
            case (byte)'b':
                return WriteByte(8, 2, to);
            case (byte)'f':
                return WriteByte(12, 2, to);
            case (byte)'n':
                return WriteByte(10, 2, to);
            case (byte)'r':
                return WriteByte(13, 2, to);
            case (byte)'t':
                return WriteByte(9, 2, to);
            case (byte)'v':
                // Not the same character in every server version.
                return 0;
            case >= (byte)'0' and <= (byte)'7':
                return Numeric(text, 1, 3, 8, to);
            case (byte)'x' when text.Length > 2 && char.IsAsciiHexDigit((char)text[2]):
                return Numeric(text, 2, 2, 16, to);
            case (byte)'u':
                return Unicode(text, 4, to);
            case (byte)'U':
                return Unicode(text, 8, to);
            default:
                // Any other character stands for itself; one of several bytes is copied by the caller from its second byte on.
                return WriteByte(c, 2, to);
        }
    }

    private static int WriteByte(byte value, int used, IBufferWriter<byte> to)
    {
        to.Write([value]);
        return used;
    }

    private static int Numeric(ReadOnlySpan<byte> text, int start, int maxDigits, int radix, IBufferWriter<byte> to)
    {
        var value = 0;
        var i = start;
        while (i < text.Length && i < start + maxDigits && Digit(text[i], radix) is >= 0 and var digit)
        {
            value = (value * radix) + digit;
            i++;
        }

        return value is > 0 and < 128 ? WriteByte((byte)value, i, to) : 0;
    }

    private static int Unicode(ReadOnlySpan<byte> text, int digits, IBufferWriter<byte> to)
    {
        if (text.Length < 2 + digits)
        {
            return 0;
        }

        uint value = 0;
        for (var i = 2; i < 2 + digits; i++)
        {
            var digit = Digit(text[i], 16);
            if (digit < 0)
            {
                return 0;
            }

            value = (value << 4) | (uint)digit;
        }

        if (value == 0 || !Rune.TryCreate(value, out var rune))
        {
            return 0;
        }

        Span<byte> utf8 = stackalloc byte[4];
        to.Write(utf8[..rune.EncodeToUtf8(utf8)]);
        return 2 + digits;
    }

    private static int Digit(byte c, int radix)
    {
        var value = c switch
        {
            >= (byte)'0' and <= (byte)'9' => c - '0',
            >= (byte)'a' and <= (byte)'f' => c - 'a' + 10,
            >= (byte)'A' and <= (byte)'F' => c - 'A' + 10,
            _ => 99,
        };
        return value < radix ? value : -1;
    }
}
