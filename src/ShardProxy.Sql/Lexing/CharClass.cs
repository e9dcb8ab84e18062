namespace ShardProxy.Sql.Lexing;

/// <summary>Character classes of PostgreSQL 15's scan.l, one byte of flags a character.</summary>
internal static class CharClass
{
    public const byte Space = 1;
    public const byte IdentifierStart = 2;
    public const byte IdentifierPart = 4;
    public const byte Operator = 8;
    public const byte Digit = 16;

    /// <summary>May stand in a dollar quote's tag after its first character.</summary>
    public const byte TagPart = 32;

    private static readonly byte[] Table = Build();

    public static bool Is(byte character, byte mask) => (Table[character] & mask) != 0;

    public static byte Of(byte character) => Table[character];

    private static byte[] Build()
    {
        var table = new byte[256];

        // A vertical tab is white space only from PostgreSQL 16 on: here it makes the statement unparsable, which is safe.
        foreach (var c in " \t\n\r\f"u8)
        {
            table[c] = Space;
        }

        foreach (var c in "~!@#^&|`?+-*/%<>="u8)
        {
            table[c] = Operator;
        }

        for (var c = '0'; c <= '9'; c++)
        {
            table[c] = Digit | IdentifierPart | TagPart;
        }

        for (var c = 0; c < 256; c++)
        {
            if (c is (>= 'a' and <= 'z') or (>= 'A' and <= 'Z') or '_' or >= 128)
            {
                table[c] = IdentifierStart | IdentifierPart | TagPart;
            }
        }

        table['$'] = IdentifierPart;
        return table;
    }
}
