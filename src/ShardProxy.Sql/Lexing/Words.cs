namespace ShardProxy.Sql.Lexing;

/// <summary>Comparison of unquoted words, which PostgreSQL folds by ASCII rules only.</summary>
internal static class Words
{
    /// <summary>True when <paramref name="word"/> is the lower-case key word <paramref name="lower"/> in any case.</summary>
    public static bool Is(ReadOnlySpan<byte> word, ReadOnlySpan<byte> lower)
    {
        if (word.Length != lower.Length)
        {
            return false;
        }

        for (var i = 0; i < word.Length; i++)
        {
            if ((word[i] is >= (byte)'A' and <= (byte)'Z' ? word[i] | 0x20 : word[i]) != lower[i])
            {
                return false;
            }
        }

        return true;
    }
}
