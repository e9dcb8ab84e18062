using System.Collections.Immutable;
using System.Text;
using ShardProxy.Sql.Lexing;

namespace ShardProxy.Sql;

/// <summary>Texts of a write for each of several nodes, spliced from its own. Lexes it again: for the slow path.</summary>
public sealed class WriteText
{
    private readonly ReadOnlyMemory<byte> _statement;
    private readonly StatementShape _shape;
    private readonly List<(int Start, int End)> _tokens = [];

    /// <param name="statement">The statement's text, from a scan's Start to its End; must stay unchanged.</param>
    /// <param name="shape">The shape of exactly this text.</param>
    public WriteText(ReadOnlyMemory<byte> statement, StatementShape shape)
    {
        _statement = statement;
        _shape = shape;
        var lexer = new SqlLexer(statement.Span, 0);
        while (lexer.Next() is not (TokenKind.End or TokenKind.Failed))
        {
            _tokens.Add((lexer.Start, lexer.End));
        }
    }

    /// <summary>The INSERT with some of its rows, in their order; at least one. It has <see cref="InsertSummary.RowTokens"/>.</summary>
    public byte[] WithRows(Func<int, bool> takes)
    {
        ArgumentNullException.ThrowIfNull(takes);
        var rows = _shape.Insert!.RowTokens;
        var text = _statement.Span;
        var result = new List<byte>(_statement.Length);
        result.AddRange(text[.._tokens[rows[0].First].Start]);
        var isFirst = true;
        for (var row = 0; row < rows.Length; row++)
        {
            if (takes(row))
            {
                result.AddRange(isFirst ? ""u8 : ",\n"u8);
                result.AddRange(text[_tokens[rows[row].First].Start.._tokens[rows[row].Last].End]);
                isFirst = false;
            }
        }

        result.AddRange(text[_tokens[rows[^1].Last].End..]);
        return [.. result];
    }

    /// <summary>
    /// The query of an INSERT that has <see cref="InsertSummary.QueryTokens"/>, with the WITH that stands in front of the INSERT.
    /// </summary>
    public byte[] InsertedQuery()
    {
        var (first, last) = _shape.Insert!.QueryTokens!.Value;
        var query = _statement.Span[_tokens[first].Start.._tokens[last].End];
        if (!_shape.Insert.HasWith)
        {
            return query.ToArray();
        }

        // What is between them cannot hold the word: INSERT INTO name (columns).
        var insert = _tokens.FindLastIndex(first, t => _statement.Span[t.Start..t.End] is var word && word.Length == 6 && Encoding.ASCII.GetString(word).Equals("insert", StringComparison.OrdinalIgnoreCase));
        return [.. _statement.Span[.._tokens[insert].Start], .. query];
    }

    /// <summary>What stands behind the query: ON CONFLICT and RETURNING.</summary>
    public ReadOnlySpan<byte> BehindQuery => _statement.Span[_tokens[_shape.Insert!.QueryTokens!.Value.Last].End..];

    /// <summary>
    /// The UPDATE or DELETE on those rows of its target only that meet the predicate: <c>WHERE (original) AND (predicate)</c>. It has a
    /// <see cref="StatementShape.IsRestrictable"/>.
    /// </summary>
    public byte[] WithPredicate(string predicate)
    {
        var slot = _shape.TargetSlot!.Value;
        var text = _statement.Span;

        // A line comment may follow the last token: what is added goes right behind the token, before it.
        var end = _tokens[slot.LastToken].End;
        var result = new List<byte>(_statement.Length + predicate.Length + 32);
        if (slot.WhereToken < 0)
        {
            result.AddRange(text[..end]);
            result.AddRange(Encoding.UTF8.GetBytes($" WHERE ({predicate})"));
        }
        else
        {
            var where = _tokens[slot.WhereToken].End;
            result.AddRange(text[..where]);
            result.AddRange(" ("u8);
            result.AddRange(text[where..end]);
            result.AddRange(Encoding.UTF8.GetBytes($") AND ({predicate})"));
        }

        result.AddRange(text[end..]);
        return [.. result];
    }

    /// <summary>Where the statement's RETURNING, or its end, begins: an UPDATE or DELETE that has a <see cref="StatementShape.IsRestrictable"/>.</summary>
    public int ReturningStart => _tokens[_shape.TargetSlot!.Value.LastToken].End;
}
