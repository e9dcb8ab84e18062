using ShardProxy.Sql.Parsing;

namespace ShardProxy.Sql.Shapes;

/// <summary>Finds the SELECT inside another statement: see <see cref="EnclosedQuery"/>.</summary>
internal static class EnclosedReader
{
    public static EnclosedQuery? Read(StatementKind kind, TreeNode fields, TokenTable tokens)
    {
        if (fields.Field("query") is not { } query || !query.Is("SelectStmt", out _))
        {
            return null;
        }

        var last = tokens.Count - 1;
        while (tokens.IsSign(last, ';'))
        {
            last--;
        }

        switch (kind)
        {
            case StatementKind.DeclareCursor:
                // DECLARE name … CURSOR … FOR query.
                var word = 2;
                while (word < last && !tokens.IsWord(word, "for"u8))
                {
                    word++;
                }

                return new EnclosedQuery(word + 1, last, tokens.IsWord(word - 2, "with"u8) && tokens.IsWord(word - 1, "hold"u8), false);
            case StatementKind.Explain:
                return new EnclosedQuery(BehindOptions(fields, tokens), last, HasFormat(fields), Has(fields, "analyze"));
            case StatementKind.Copy when !fields.Flag("is_from") && tokens.IsSign(1, '('):
                return new EnclosedQuery(2, Closing(tokens, 1) - 1, false, false);
            default:
                return null;
        }
    }

    /// <summary>The SELECT of CREATE TABLE … AS that takes its rows; null for others.</summary>
    public static EnclosedQuery? Created(TreeNode fields, TokenTable tokens)
    {
        if (fields.Field("query") is not { } query || !query.Is("SelectStmt", out _) || fields.Flag("is_select_into") || fields.Field("into")?.Flag("skipData") == true || tokens.HasUnicodeNames)
        {
            return null;
        }

        var last = tokens.Count - 1;
        while (tokens.IsSign(last, ';'))
        {
            last--;
        }

        last -= tokens.IsWord(last, "data"u8) && tokens.IsWord(last - 1, "with"u8) ? 2 : 0;
        for (int i = 2, depth = 0; i < last; i++)
        {
            depth += tokens.IsSign(i, '(') ? 1 : tokens.IsSign(i, ')') ? -1 : 0;
            if (depth == 0 && tokens.IsWord(i, "as"u8))
            {
                return new EnclosedQuery(i + 1, last, false, false);
            }
        }

        return null;
    }

    // EXPLAIN [ANALYZE] [VERBOSE] query, or EXPLAIN (options) query; the query may begin with a parenthesis, too.
    private static int BehindOptions(TreeNode explain, TokenTable tokens)
    {
        if (explain.ListLength("options") == 0)
        {
            return 1;
        }

        if (tokens.IsSign(1, '('))
        {
            return Closing(tokens, 1) + 1;
        }

        var first = 1;
        while (tokens.IsWord(first, "analyze"u8) || tokens.IsWord(first, "analyse"u8) || tokens.IsWord(first, "verbose"u8))
        {
            first++;
        }

        return first;
    }

    private static int Closing(TokenTable tokens, int opening)
    {
        var (depth, at) = (0, opening);
        do
        {
            depth += tokens.IsSign(at, '(') ? 1 : tokens.IsSign(at, ')') ? -1 : 0;
            at++;
        }
        while (depth > 0 && at < tokens.Count);
        return at - 1;
    }

    private static bool Has(TreeNode explain, string name) =>
        explain.List("options").Any(o => o.Is("DefElem", out var option) && option.Text("defname") == name);

    private static bool HasFormat(TreeNode explain) =>
        explain.List("options").Any(o => o.Is("DefElem", out var option) && option.Text("defname") == "format"
            && !string.Equals(option.Field("arg")?.AsString(), "text", StringComparison.OrdinalIgnoreCase));
}
