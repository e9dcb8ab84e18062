using System.Globalization;
using System.Text;
using ShardProxy.Sql.Lexing;

namespace ShardProxy.Sql;

/// <summary>Texts of SQL's PREPARE and EXECUTE. Lexes them: for the slow path.</summary>
public static class ExecuteText
{
    private static readonly string[] ListStarts = ["select", "returning"];

    private static readonly string[] ListEnds =
        ["from", "where", "group", "having", "window", "order", "limit", "offset", "fetch", "for", "union", "intersect", "except", "into", "values", "set", "on", "using"];

    /// <summary>The query of <c>PREPARE name [(types)] AS query</c>; null when the text is not just that.</summary>
    public static byte[]? Query(ReadOnlySpan<byte> prepare)
    {
        var (depth, token, start, end) = (0, 0, -1, -1);
        var lexer = new SqlLexer(prepare, 0);
        for (var kind = lexer.Next(); kind is not (TokenKind.End or TokenKind.Failed); kind = lexer.Next(), token++)
        {
            var text = prepare[lexer.Start..lexer.End];
            if (token == 0 && !Is(text, "prepare"))
            {
                return null;
            }

            depth += text is [(byte)'('] ? 1 : text is [(byte)')'] ? -1 : 0;
            if (text is [(byte)';'])
            {
                // Only at the end.
                return start >= 0 && lexer.Next() == TokenKind.End ? prepare[start..end].ToArray() : null;
            }

            if (start < 0 && token > 1 && depth == 0 && kind == TokenKind.Word && Is(text, "as"))
            {
                start = lexer.End;
            }

            end = lexer.End;
        }

        return start >= 0 && end > start ? prepare[start..end].ToArray() : null;
    }

    /// <summary>The arguments of <c>EXECUTE name [(a, b, …)]</c>, each as it stands.</summary>
    public static IReadOnlyList<string> Arguments(ReadOnlySpan<byte> execute)
    {
        var arguments = new List<string>();
        var (depth, start) = (0, 0);
        var lexer = new SqlLexer(execute, 0);
        for (var kind = lexer.Next(); kind is not (TokenKind.End or TokenKind.Failed); kind = lexer.Next())
        {
            var text = execute[lexer.Start..lexer.End];
            var change = text is [(byte)'('] or [(byte)'['] ? 1 : text is [(byte)')'] or [(byte)']'] ? -1 : 0;
            if (depth == 0 && change > 0)
            {
                start = lexer.End;
            }
            else if (depth == 1 && (change < 0 || text is [(byte)',']))
            {
                arguments.Add(Encoding.UTF8.GetString(execute[start..lexer.Start]));
                start = lexer.End;
            }

            depth += change;
        }

        return arguments;
    }

    /// <summary>
    /// A query with values in the place of its parameters. A parameter that is a result column of its own has no name: so has its value.
    /// </summary>
    /// <param name="query">The query.</param>
    /// <param name="values">SQL text of each value, such that it can stand anywhere; the first is of <c>$1</c>.</param>
    public static byte[]? Bind(byte[] query, IReadOnlyList<string> values)
    {
        ArgumentNullException.ThrowIfNull(query);
        ArgumentNullException.ThrowIfNull(values);
        var tokens = new List<(int Start, int End, TokenKind Kind)>();
        var lexer = new SqlLexer(query, 0);
        for (var kind = lexer.Next(); kind is not (TokenKind.End or TokenKind.Failed); kind = lexer.Next())
        {
            tokens.Add((lexer.Start, lexer.End, kind));
        }

        var result = new StringBuilder();
        var copied = 0;
        var lists = new Stack<bool>([false]);
        for (var i = 0; i < tokens.Count; i++)
        {
            var (start, end, kind) = tokens[i];
            if (Sign(i, '('))
            {
                lists.Push(false);
            }
            else if (Sign(i, ')') && lists.Count > 1)
            {
                lists.Pop();
            }
            else if (Word(i, ListStarts) || Word(i, ListEnds))
            {
                lists.Pop();
                lists.Push(Word(i, ListStarts));
            }

            if (kind != TokenKind.Parameter)
            {
                continue;
            }

            var number = int.Parse(Encoding.ASCII.GetString(query.AsSpan(start + 1, end - start - 1)), CultureInfo.InvariantCulture);
            if (number < 1 || number > values.Count)
            {
                return null;
            }

            var isColumn = lists.Peek() && (Sign(i - 1, ',') || Word(i - 1, ListStarts) || Word(i - 1, ["distinct", "all"]))
                && (i + 1 == tokens.Count || Sign(i + 1, ',') || Sign(i + 1, ')') || Sign(i + 1, ';') || Word(i + 1, ListEnds));
            result.Append(Encoding.UTF8.GetString(query.AsSpan(copied, start - copied))).Append(' ').Append(values[number - 1]).Append(isColumn ? " AS \"?column?\" " : " ");
            copied = end;
        }

        return Encoding.UTF8.GetBytes(result.Append(Encoding.UTF8.GetString(query.AsSpan(copied))).ToString());

        bool Sign(int token, char sign) => token >= 0 && token < tokens.Count && tokens[token].End - tokens[token].Start == 1 && query[tokens[token].Start] == sign;

        bool Word(int token, string[] words) =>
            token >= 0 && token < tokens.Count && tokens[token].Kind == TokenKind.Word
            && Array.Exists(words, w => Is(query.AsSpan(tokens[token].Start, tokens[token].End - tokens[token].Start), w));
    }

    private static bool Is(ReadOnlySpan<byte> text, string word) => Encoding.UTF8.GetString(text).Equals(word, StringComparison.OrdinalIgnoreCase);
}
