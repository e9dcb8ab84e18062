using System.Buffers;
using System.Buffers.Binary;

namespace ShardProxy.Model.Keys;

/// <summary>The text and binary forms of numeric as its input and receive functions take them (PostgreSQL's src/backend/utils/adt/numeric.c).</summary>
internal static class NumericText
{
    /// <summary>Longer values are not looked at.</summary>
    public const int MaxDigits = 1000;

    /// <summary>Larger magnitudes come near the limits of the type, where the input function has rules of its own.</summary>
    private const int MaxExponent = 16_000;

    private const int DigitsPerWord = 4;

    // Later versions take underscores and other radices.
    private static readonly SearchValues<byte> LaterSyntax = SearchValues.Create("_xXoObB"u8);

    /// <summary>Parses white space, sign, digits with a point, an exponent, white space; NaN and the infinities.</summary>
    /// <param name="text">The value's characters.</param>
    /// <param name="isNegated">A minus sign stands before the text.</param>
    /// <param name="digits">At least <see cref="MaxDigits"/> bytes; holds the value's digits.</param>
    /// <param name="value">The value, when the outcome is Ok.</param>
    public static KeyHashOutcome TryParse(ReadOnlySpan<byte> text, bool isNegated, Span<byte> digits, out NumericValue value)
    {
        value = default;
        text = text.Trim(" \t\n\v\f\r"u8);
        var word = text.TrimStart("+-"u8);
        if (text.Length - word.Length <= 1 && !word.IsEmpty && (word[0] | 0x20) is (byte)'i' or (byte)'n')
        {
            return TryWord(word, text.Length > word.Length ? text[0] : (byte)0, out value);
        }

        var isNegative = isNegated;
        var at = 0;
        if (at < text.Length && text[at] is (byte)'+' or (byte)'-')
        {
            isNegative ^= text[at++] == (byte)'-';
        }

        var (count, point, seen) = (0, -1, 0);
        for (; at < text.Length; at++)
        {
            if (text[at] is >= (byte)'0' and <= (byte)'9')
            {
                if (count == MaxDigits)
                {
                    return KeyHashOutcome.Unsupported;
                }

                digits[count++] = (byte)(text[at] - '0');
                seen++;
            }
            else if (text[at] == (byte)'.' && point < 0)
            {
                point = count;
            }
            else
            {
                break;
            }
        }

        var exponent = 0;
        if (seen == 0 || !TryExponent(text[at..], ref exponent))
        {
            return text.IndexOfAny(LaterSyntax) >= 0 || text.IndexOfAnyInRange((byte)128, byte.MaxValue) >= 0 ? KeyHashOutcome.Unsupported : KeyHashOutcome.Invalid;
        }

        value = NumericValue.Finite(isNegative, digits[..count], (point < 0 ? count : point) + exponent);
        return Math.Abs(exponent) > MaxExponent ? KeyHashOutcome.Unsupported : KeyHashOutcome.Ok;
    }

    /// <summary>Reads the binary form: base-10000 digits with a weight, a sign and a display scale.</summary>
    public static KeyHashOutcome TryRead(ReadOnlySpan<byte> binary, Span<byte> digits, out NumericValue value)
    {
        value = default;
        if (binary.Length < 8)
        {
            return KeyHashOutcome.Invalid;
        }

        var words = BinaryPrimitives.ReadInt16BigEndian(binary);
        var weight = BinaryPrimitives.ReadInt16BigEndian(binary[2..]);
        var sign = BinaryPrimitives.ReadUInt16BigEndian(binary[4..]);
        var scale = BinaryPrimitives.ReadUInt16BigEndian(binary[6..]);
        if (words < 0 || binary.Length != 8 + (2 * words))
        {
            return KeyHashOutcome.Invalid;
        }

        if (words * DigitsPerWord > MaxDigits)
        {
            return KeyHashOutcome.Unsupported;
        }

        switch (sign)
        {
            case 0xC000:
                value = NumericValue.Special(NumericClass.NaN);
                return KeyHashOutcome.Ok;
            case 0xD000:
                value = NumericValue.Special(NumericClass.Infinity);
                return KeyHashOutcome.Ok;
            case 0xF000:
                value = NumericValue.Special(NumericClass.NegativeInfinity);
                return KeyHashOutcome.Ok;
            case not (0 or 0x4000):
                return KeyHashOutcome.Invalid;
        }

        for (var i = 0; i < words; i++)
        {
            var word = BinaryPrimitives.ReadInt16BigEndian(binary[(8 + (2 * i))..]);
            if (word is < 0 or > 9999)
            {
                return KeyHashOutcome.Invalid;
            }

            for (var d = DigitsPerWord - 1; d >= 0; d--)
            {
                digits[(i * DigitsPerWord) + d] = (byte)(word % 10);
                word /= 10;
            }
        }

        value = NumericValue.Finite(sign != 0, digits[..(words * DigitsPerWord)], (weight + 1) * DigitsPerWord);

        // The receive function drops digits behind the display scale.
        return value.Digits.Length - value.Exponent > scale ? KeyHashOutcome.Unsupported : KeyHashOutcome.Ok;
    }

    private static KeyHashOutcome TryWord(ReadOnlySpan<byte> word, byte sign, out NumericValue value)
    {
        value = default;
        if (IsWord(word, "infinity"u8) || IsWord(word, "inf"u8))
        {
            value = NumericValue.Special(sign == (byte)'-' ? NumericClass.NegativeInfinity : NumericClass.Infinity);
            return KeyHashOutcome.Ok;
        }

        if (sign == 0 && IsWord(word, "nan"u8))
        {
            value = NumericValue.Special(NumericClass.NaN);
            return KeyHashOutcome.Ok;
        }

        return KeyHashOutcome.Unsupported;
    }

    private static bool IsWord(ReadOnlySpan<byte> text, ReadOnlySpan<byte> lower) =>
        text.Length == lower.Length && System.Text.Ascii.EqualsIgnoreCase(text, lower);

    private static bool TryExponent(ReadOnlySpan<byte> text, ref int exponent)
    {
        if (text.IsEmpty)
        {
            return true;
        }

        if ((text[0] | 0x20) != (byte)'e' || text.Length < 2)
        {
            return false;
        }

        text = text[1..];
        var isNegative = text[0] == (byte)'-';
        text = text[0] is (byte)'-' or (byte)'+' ? text[1..] : text;
        if (text.IsEmpty)
        {
            return false;
        }

        foreach (var c in text)
        {
            if (c is < (byte)'0' or > (byte)'9')
            {
                return false;
            }

            exponent = Math.Min((exponent * 10) + (c - '0'), MaxExponent + 1);
        }

        exponent = isNegative ? -exponent : exponent;
        return true;
    }
}
