using System.Text;
using ShardProxy.Sql.Shapes;

namespace ShardProxy.Sql;

/// <summary>A call of nextval, setval, currval or lastval, as far as its text tells.</summary>
/// <param name="Function">Its name, lower-case.</param>
/// <param name="Sequence">The name as given in a literal; null when it is given otherwise, and for lastval.</param>
/// <param name="Table">Of <c>pg_get_serial_sequence('table', 'column')</c> in its place.</param>
/// <param name="Column">The same.</param>
public readonly record struct SequenceCall(string Function, string? Sequence, string? Table, string? Column);

/// <summary>Finds the calls of sequence functions in a statement's text, and puts values in the place of those that only read.</summary>
public static class SequenceCalls
{
    /// <summary>Every call in the text.</summary>
    public static IReadOnlyList<SequenceCall> Find(ReadOnlyMemory<byte> statement)
    {
        var tokens = new TokenTable(statement.ToArray(), statement.Length);
        return [.. Enumerable.Range(0, tokens.Count).Select(i => Read(tokens, i)).OfType<Found>().Select(f => f.Call)];
    }

    /// <summary>
    /// The statement with values in the place of its calls of currval and lastval; null when one of them stands where that cannot be done without
    /// changing a column's name, or has no value.
    /// </summary>
    /// <param name="statement">The statement's text.</param>
    /// <param name="value">The value of a call, digits.</param>
    public static byte[]? Replace(ReadOnlyMemory<byte> statement, Func<SequenceCall, string?> value)
    {
        ArgumentNullException.ThrowIfNull(value);
        var tokens = new TokenTable(statement.ToArray(), statement.Length);
        var isSelect = tokens.IsWord(0, "select"u8);
        var result = new StringBuilder();
        var (at, depth) = (0, 0);
        for (var i = 0; i < tokens.Count; i++)
        {
            depth += tokens.IsSign(i, '(') ? 1 : tokens.IsSign(i, ')') ? -1 : 0;
            if (Read(tokens, i) is not { Call.Function: "currval" or "lastval" } found)
            {
                continue;
            }

            if (value(found.Call) is not { } number)
            {
                return null;
            }

            var name = "";
            if (isSelect && depth == 0)
            {
                var isTarget = tokens.IsWord(found.First - 1, "select"u8) || tokens.IsSign(found.First - 1, ',');
                var isWhole = found.Last + 1 >= tokens.Count || tokens.IsSign(found.Last + 1, ',') || tokens.IsSign(found.Last + 1, ';') || tokens.IsWord(found.Last + 1, "from"u8);
                var isNamed = tokens.IsWord(found.Last + 1, "as"u8);
                if (!isTarget || !(isWhole || isNamed))
                {
                    return null;
                }

                name = isWhole ? $" AS {found.Call.Function}" : "";
            }
            else if (!(tokens.IsWord(0, "insert"u8) || tokens.IsWord(0, "update"u8) || tokens.IsWord(0, "delete"u8)))
            {
                return null;
            }

            result.Append(Encoding.UTF8.GetString(statement.Span[at..tokens[found.First].Start])).Append('(').Append(number).Append("::bigint)").Append(name);
            at = tokens[found.Last].End;
            i = found.Last;
        }

        return Encoding.UTF8.GetBytes(result.Append(Encoding.UTF8.GetString(statement.Span[at..])).ToString());
    }

    // A call that begins at the token.
    private static Found? Read(TokenTable tokens, int first)
    {
        var i = tokens.IsWord(first, "pg_catalog"u8) && tokens.IsSign(first + 1, '.') ? first + 2 : first;
        var function = tokens.IsWord(i, "currval"u8) ? "currval" : tokens.IsWord(i, "lastval"u8) ? "lastval" : tokens.IsWord(i, "nextval"u8) ? "nextval"
            : tokens.IsWord(i, "setval"u8) ? "setval" : null;
        if (function is null || !tokens.IsSign(i + 1, '(') || (i == first && tokens.IsSign(first - 1, '.')))
        {
            return null;
        }

        i += 2;
        if (tokens.IsSign(i, ')'))
        {
            return new Found(new SequenceCall(function, null, null, null), first, i);
        }

        if (tokens.IsWord(i, "pg_get_serial_sequence"u8) && tokens.IsSign(i + 1, '(') && Text(tokens, i + 2) is { } table && tokens.IsSign(i + 3, ',')
            && Text(tokens, i + 4) is { } column && tokens.IsSign(i + 5, ')') && IsEnd(tokens, i + 6))
        {
            return new Found(new SequenceCall(function, null, table, column), first, i + 6);
        }

        var name = Text(tokens, i++);
        if (name is not null && tokens.IsSign(i, ':') && tokens.IsSign(i + 1, ':') && tokens.IsWord(i + 2, "regclass"u8))
        {
            i += 3;
        }
        else if (name is not null && IsCast(tokens, i) && tokens.IsWord(i + 1, "regclass"u8))
        {
            i += 2;
        }

        return name is not null && IsEnd(tokens, i) ? new Found(new SequenceCall(function, name, null, null), first, i) : new Found(new SequenceCall(function, null, null, null), first, first);
    }

    private static bool IsEnd(TokenTable tokens, int i) => tokens.IsSign(i, ')') || tokens.IsSign(i, ',');

    private static bool IsCast(TokenTable tokens, int i) => i < tokens.Count && tokens.Bytes(i).SequenceEqual("::"u8);

    // A plain string literal.
    private static string? Text(TokenTable tokens, int i) =>
        i < tokens.Count && tokens[i].Kind == Lexing.TokenKind.Literal && tokens.Bytes(i) is [(byte)'\'', .. var inner, (byte)'\''] && !inner.Contains((byte)'\'')
            ? Encoding.UTF8.GetString(inner) : null;

    private sealed record Found(SequenceCall Call, int First, int Last);
}
