namespace ShardProxy.Model.Keys;

/// <summary>The text form of int2, int4 and int8 as their input functions take it (PostgreSQL's src/backend/utils/adt/numutils.c).</summary>
internal static class IntegerText
{
    /// <summary>
    /// Parses white space, an optional sign, decimal digits, white space. What PostgreSQL 15 rejects but a later version or
    /// another C library may accept (hexadecimal and its kin, digit separators, bytes above 127 as white space) is unsupported.
    /// </summary>
    /// <param name="text">The value's characters.</param>
    /// <param name="minimum">Lowest value of the type; its highest is <c>-(minimum + 1)</c>.</param>
    /// <param name="value">The number, 0 unless the outcome is Ok.</param>
    public static KeyHashOutcome TryParse(ReadOnlySpan<byte> text, long minimum, out long value)
    {
        value = 0;
        var at = SkipSpace(text, 0);
        var isNegative = false;
        if (at < text.Length && text[at] is (byte)'+' or (byte)'-')
        {
            isNegative = text[at] == (byte)'-';
            at++;
        }

        // Counting downwards holds the lowest value too.
        long negated = 0;
        var start = at;
        for (; at < text.Length && text[at] is >= (byte)'0' and <= (byte)'9'; at++)
        {
            var digit = text[at] - '0';
            if (negated < (minimum + digit) / 10)
            {
                return KeyHashOutcome.Invalid;
            }

            negated = (negated * 10) - digit;
        }

        var end = at > start ? SkipSpace(text, at) : at;
        if (end < text.Length)
        {
            return text[end] is > 127 or (byte)'_' || IsRadixMark(text, start, end) ? KeyHashOutcome.Unsupported : KeyHashOutcome.Invalid;
        }

        if (at == start || (!isNegative && negated == minimum))
        {
            return KeyHashOutcome.Invalid;
        }

        value = isNegative ? negated : -negated;
        return KeyHashOutcome.Ok;
    }

    /// <summary>White space as the C locale's <c>isspace</c> has it.</summary>
    private static int SkipSpace(ReadOnlySpan<byte> text, int at)
    {
        while (at < text.Length && text[at] is (byte)' ' or (>= 9 and <= 13))
        {
            at++;
        }

        return at;
    }

    /// <summary>True at the letter of <c>0x1f</c>, <c>0o17</c> or <c>0b11</c>, which PostgreSQL 16 takes.</summary>
    private static bool IsRadixMark(ReadOnlySpan<byte> text, int start, int at) =>
        at == start + 1 && text[start] == (byte)'0' && (text[at] | 0x20) is 'x' or 'o' or 'b';
}
