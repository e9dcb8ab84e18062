namespace ShardProxy.Sql.Lexing;

/// <summary>
/// Counts the tokens that can nest a parse tree without parentheses: each may cost the parser, the printer of its tree and our
/// own walk a stack frame or more. The members of a list lie side by side: an operator in one does not nest the next. What joins whole
/// queries nests them although there are commas between.
/// </summary>
internal static class TermCounter
{
    /// <summary>Lists nested deeper than this are counted as one.</summary>
    private const int MaxListDepth = 256;

    public static bool Exceeds(ReadOnlySpan<byte> statement, SqlOptions options)
    {
        var lexer = new SqlLexer(statement, 0);
        int terms = 0, queries = 0, joins = 0, depth = 0;
        Span<int> before = stackalloc int[MaxListDepth]; // terms in front of the list at each depth
        before[0] = 0;
        while (true)
        {
            var kind = lexer.Next();
            if (kind is TokenKind.End or TokenKind.Failed)
            {
                return false;
            }

            var token = statement[lexer.Start..lexer.End];
            var nests = kind switch
            {
                TokenKind.Operator => true,
                TokenKind.Punctuation => token[0] is (byte)'[' || (token[0] == ':' && token.Length == 2),
                TokenKind.Word => Nests(token),
                _ => false,
            };
            if (kind == TokenKind.Word && Words.Is(token, "join"u8) && ++joins > options.MaxJoins)
            {
                return true;
            }

            if (kind == TokenKind.Word && nests && JoinsQueries(token))
            {
                queries++;
            }
            else if (nests)
            {
                terms++;
            }

            if (terms + queries > options.MaxTerms)
            {
                return true;
            }

            if (kind == TokenKind.Punctuation && token.Length == 1)
            {
                switch (token[0])
                {
                    case (byte)'(' or (byte)'[':
                        depth++;
                        if (depth < MaxListDepth)
                        {
                            before[depth] = terms;
                        }

                        break;
                    case (byte)')' or (byte)']':
                        depth = Math.Max(0, depth - 1);
                        break;
                    case (byte)',' when depth < MaxListDepth:
                        terms = before[depth];
                        break;
                }
            }
        }
    }

    private static bool JoinsQueries(ReadOnlySpan<byte> word) =>
        Words.Is(word, "select"u8) || Words.Is(word, "union"u8) || Words.Is(word, "except"u8) || Words.Is(word, "intersect"u8) || Words.Is(word, "join"u8);

    private static bool Nests(ReadOnlySpan<byte> word) => word.Length switch
    {
        2 => Words.Is(word, "or"u8) || Words.Is(word, "is"u8) || Words.Is(word, "in"u8) || Words.Is(word, "at"u8),
        3 => Words.Is(word, "and"u8) || Words.Is(word, "not"u8),
        4 => Words.Is(word, "join"u8) || Words.Is(word, "case"u8) || Words.Is(word, "like"u8) || Words.Is(word, "else"u8),
        5 => Words.Is(word, "union"u8) || Words.Is(word, "ilike"u8),
        6 => Words.Is(word, "except"u8) || Words.Is(word, "select"u8) || Words.Is(word, "isnull"u8),
        7 => Words.Is(word, "between"u8) || Words.Is(word, "collate"u8) || Words.Is(word, "notnull"u8) || Words.Is(word, "similar"u8),
        8 => Words.Is(word, "operator"u8) || Words.Is(word, "overlaps"u8),
        9 => Words.Is(word, "intersect"u8),
        _ => false,
    };
}
