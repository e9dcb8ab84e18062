namespace ShardProxy.Model.Keys;

/// <summary>The text form of uuid as its input function takes it (PostgreSQL documentation, section 8.12).</summary>
internal static class UuidText
{
    /// <summary>
    /// Parses 32 hexadecimal digits of either case, a hyphen allowed after every fourth digit but the last, all of it optionally in
    /// braces. No white space is allowed.
    /// </summary>
    /// <param name="text">The value's characters.</param>
    /// <param name="uuid">Receives the 16 bytes; its content is undefined when the result is false.</param>
    public static bool TryParse(ReadOnlySpan<byte> text, Span<byte> uuid)
    {
        if (text.Length > 0 && text[0] == (byte)'{')
        {
            if (text[^1] != (byte)'}')
            {
                return false;
            }

            text = text[1..^1];
        }

        var at = 0;
        for (var i = 0; i < 16; i++)
        {
            if (text.Length - at < 2)
            {
                return false;
            }

            int high = HexDigit(text[at]), low = HexDigit(text[at + 1]);
            if ((high | low) < 0)
            {
                return false;
            }

            uuid[i] = (byte)((high << 4) | low);
            at += 2;
            if (i % 2 == 1 && i < 15 && at < text.Length && text[at] == (byte)'-')
            {
                at++;
            }
        }

        return at == text.Length;
    }

    private static int HexDigit(byte character) => character switch
    {
        >= (byte)'0' and <= (byte)'9' => character - '0',
        >= (byte)'a' and <= (byte)'f' => character - 'a' + 10,
        >= (byte)'A' and <= (byte)'F' => character - 'A' + 10,
        _ => -1,
    };
}
