using System.Text;
using ShardProxy.Sql.Lexing;

namespace ShardProxy.Sql;

/// <summary>Changes statements by splicing their original text. Lexes the text again: for the slow path.</summary>
public static class StatementRewriter
{
    /// <summary>
    /// Restricts relations of an <see cref="AggregateQuery"/>: <c>WHERE (original) AND (owned)</c>, or <c>WHERE (owned)</c> where there was none.
    /// </summary>
    /// <param name="statement">The statement's text, from a scan's Start to its End.</param>
    /// <param name="shape">The shape of exactly this text.</param>
    /// <param name="predicateFor">
    /// The predicate for a relation as SQL text, its columns qualified by <see cref="RelationUse.Alias"/> or else its name; null leaves the relation
    /// as it is.
    /// </param>
    /// <returns>The new text; null when the statement is not of a form in which that is certain to be right.</returns>
    public static byte[]? TryAddPredicates(ReadOnlySpan<byte> statement, StatementShape shape, Func<RelationUse, string?> predicateFor)
    {
        ArgumentNullException.ThrowIfNull(shape);
        ArgumentNullException.ThrowIfNull(predicateFor);
        if (shape.Aggregate is not { } aggregate || aggregate.Slots.IsDefaultOrEmpty)
        {
            return null;
        }

        var tokens = Tokens(statement);
        var result = new List<byte>(statement.Length + 256);
        var copied = 0;
        foreach (var slot in aggregate.Slots)
        {
            if (predicateFor(shape.Relations[slot.Relation]) is not { } predicate)
            {
                continue;
            }

            if (slot.LastToken >= tokens.Count)
            {
                return null;
            }

            // A line comment may follow the last token: what is added goes right behind the token, before it.
            var end = tokens[slot.LastToken].End;
            if (slot.WhereToken < 0)
            {
                Copy(statement[copied..end], result);
                result.AddRange(Encoding.UTF8.GetBytes($" WHERE ({predicate})"));
            }
            else
            {
                var where = tokens[slot.WhereToken];
                if (!Words.Is(statement[where.Start..where.End], "where"u8))
                {
                    return null;
                }

                Copy(statement[copied..where.End], result);
                Copy(" ("u8, result);
                Copy(statement[where.End..end], result);
                result.AddRange(Encoding.UTF8.GetBytes($") AND ({predicate})"));
            }

            copied = end;
        }

        Copy(statement[copied..], result);
        return [.. result];
    }

    private static void Copy(ReadOnlySpan<byte> bytes, List<byte> to) => to.AddRange(bytes);

    private static List<(int Start, int End)> Tokens(ReadOnlySpan<byte> statement)
    {
        var tokens = new List<(int Start, int End)>();
        var lexer = new SqlLexer(statement, 0);
        while (lexer.Next() is not (TokenKind.End or TokenKind.Failed))
        {
            tokens.Add((lexer.Start, lexer.End));
        }

        return tokens;
    }
}
