using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// A numeric value exactly as PostgreSQL prints it: unscaled digits and the number of digits after the point. NaN and the infinities
/// are not represented.
/// </summary>
internal readonly record struct ExactDecimal(BigInteger Unscaled, int Scale) : IComparable<ExactDecimal>
{
    // PostgreSQL's binary numeric counts in digits of base 10,000 (src/backend/utils/adt/numeric.c, numeric_send).
    private const int GroupDigits = 4;

    public static bool TryParse(ReadOnlySpan<byte> text, out ExactDecimal value)
    {
        value = default;
        var characters = Encoding.ASCII.GetString(text);
        var point = characters.IndexOf('.', StringComparison.Ordinal);
        var digits = point < 0 ? characters : characters.Remove(point, 1);
        if (!BigInteger.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var unscaled))
        {
            return false;
        }

        value = new ExactDecimal(unscaled, point < 0 ? 0 : characters.Length - point - 1);
        return true;
    }

    public static ExactDecimal operator +(ExactDecimal left, ExactDecimal right)
    {
        var scale = Math.Max(left.Scale, right.Scale);
        return new ExactDecimal(left.At(scale) + right.At(scale), scale);
    }

    public int CompareTo(ExactDecimal other)
    {
        var scale = Math.Max(Scale, other.Scale);
        return At(scale).CompareTo(other.At(scale));
    }

    public static bool operator <(ExactDecimal left, ExactDecimal right) => left.CompareTo(right) < 0;

    public static bool operator >(ExactDecimal left, ExactDecimal right) => left.CompareTo(right) > 0;

    public static bool operator <=(ExactDecimal left, ExactDecimal right) => left.CompareTo(right) <= 0;

    public static bool operator >=(ExactDecimal left, ExactDecimal right) => left.CompareTo(right) >= 0;

    /// <summary>As numeric_out prints it.</summary>
    public override string ToString()
    {
        var digits = BigInteger.Abs(Unscaled).ToString(CultureInfo.InvariantCulture);
        if (Scale > 0)
        {
            digits = digits.PadLeft(Scale + 1, '0');
            digits = digits.Insert(digits.Length - Scale, ".");
        }

        return Unscaled.Sign < 0 ? "-" + digits : digits;
    }

    /// <summary>As numeric_send writes it.</summary>
    public byte[] ToBinary()
    {
        // Aligned so that the point falls between two groups.
        var padded = Scale % GroupDigits == 0 ? Scale : Scale + GroupDigits - (Scale % GroupDigits);
        var rest = BigInteger.Abs(At(padded));
        var groups = new List<short>();
        while (!rest.IsZero)
        {
            rest = BigInteger.DivRem(rest, 10_000, out var group);
            groups.Add((short)group);
        }

        groups.Reverse();
        var weight = groups.Count - 1 - (padded / GroupDigits);
        while (groups.Count > 0 && groups[^1] == 0)
        {
            groups.RemoveAt(groups.Count - 1);
        }

        var bytes = new byte[8 + (2 * groups.Count)];
        BinaryPrimitives.WriteInt16BigEndian(bytes, (short)groups.Count);
        BinaryPrimitives.WriteInt16BigEndian(bytes.AsSpan(2), groups.Count == 0 ? (short)0 : (short)weight);
        BinaryPrimitives.WriteInt16BigEndian(bytes.AsSpan(4), Unscaled.Sign < 0 ? (short)0x4000 : (short)0);
        BinaryPrimitives.WriteInt16BigEndian(bytes.AsSpan(6), (short)Scale);
        for (var i = 0; i < groups.Count; i++)
        {
            BinaryPrimitives.WriteInt16BigEndian(bytes.AsSpan(8 + (2 * i)), groups[i]);
        }

        return bytes;
    }

    private BigInteger At(int scale) => Unscaled * BigInteger.Pow(10, scale - Scale);
}
