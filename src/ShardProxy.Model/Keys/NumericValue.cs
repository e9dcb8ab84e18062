namespace ShardProxy.Model.Keys;

/// <summary>
/// A numeric as its value alone, without its display scale: ±0.d₁d₂d₃… × 10^<see cref="Exponent"/>, where the first and the last digit are not 0.
/// </summary>
internal readonly ref struct NumericValue
{
    private NumericValue(NumericClass kind, ReadOnlySpan<byte> digits, int exponent)
    {
        Class = kind;
        Digits = digits;
        Exponent = exponent;
    }

    public NumericClass Class { get; }

    /// <summary>0 to 9 each; empty unless the value is finite and not zero.</summary>
    public ReadOnlySpan<byte> Digits { get; }

    public int Exponent { get; }

    /// <summary>Infinities and NaN.</summary>
    public static NumericValue Special(NumericClass kind) => new(kind, default, 0);

    /// <summary>A finite value, its digits with zeros at either end as they may be.</summary>
    /// <param name="isNegative">Below zero, unless all digits are 0.</param>
    /// <param name="digits">0 to 9 each.</param>
    /// <param name="exponent">Digits before the decimal point; negative when zeros follow it that are not among the digits.</param>
    public static NumericValue Finite(bool isNegative, ReadOnlySpan<byte> digits, int exponent)
    {
        var zeros = 0;
        while (zeros < digits.Length && digits[zeros] == 0)
        {
            zeros++;
        }

        digits = digits[zeros..].TrimEnd((byte)0);
        return digits.IsEmpty
            ? new NumericValue(NumericClass.Zero, default, 0)
            : new NumericValue(isNegative ? NumericClass.Negative : NumericClass.Positive, digits, exponent - zeros);
    }

    /// <summary>The value as a column numeric(precision, scale) stores it: rounded half away from zero. False when it does not fit there.</summary>
    /// <param name="precision">Digits in all.</param>
    /// <param name="scale">Digits behind the point; may be negative.</param>
    /// <param name="buffer">At least one byte longer than <see cref="Digits"/>; holds the result's digits.</param>
    /// <param name="stored">The result.</param>
    public bool TryRound(int precision, int scale, Span<byte> buffer, out NumericValue stored)
    {
        stored = this;
        if (Class == NumericClass.NaN)
        {
            return true;
        }

        if (Class is NumericClass.Infinity or NumericClass.NegativeInfinity)
        {
            return false;
        }

        var kept = Exponent + scale;
        if (kept < Digits.Length)
        {
            // A zero in front takes a carry.
            buffer[0] = 0;
            kept = Math.Max(kept, -1);
            Digits[..Math.Max(kept, 0)].CopyTo(buffer[1..]);
            var used = buffer[..(Math.Max(kept, 0) + 1)];
            if (kept >= 0 && Digits[kept] >= 5)
            {
                var at = used.Length - 1;
                while (used[at] == 9)
                {
                    used[at--] = 0;
                }

                used[at]++;
            }

            stored = Finite(Class == NumericClass.Negative, used, Exponent + 1);
        }

        return stored.Class == NumericClass.Zero || stored.Exponent <= precision - scale;
    }
}
