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

    /// <summary>Ordinal of the last token.</summary>
    public int LastToken => _tokens.Count - 1;

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

        return [.. _statement.Span[.._tokens[InsertToken(first)].Start], .. query];
    }

    /// <summary>What stands behind the query: ON CONFLICT and RETURNING.</summary>
    public ReadOnlySpan<byte> BehindQuery => _statement.Span[_tokens[_shape.Insert!.QueryTokens!.Value.Last].End..];

    /// <summary>
    /// The UPDATE or DELETE on those rows of its target only that meet the predicate: <c>WHERE (original) AND (predicate)</c>. It has a
    /// <see cref="StatementShape.IsRestrictable"/>.
    /// </summary>
    public byte[] WithPredicate(string predicate) => With(PredicatePatches(predicate));

    /// <summary>What <see cref="WithPredicate"/> changes.</summary>
    public IEnumerable<WritePatch> PredicatePatches(string predicate)
    {
        var slot = _shape.TargetSlot!.Value;

        // A line comment may follow the last token: what is added goes right behind the token, before it.
        var end = _tokens[slot.LastToken].End;
        if (slot.WhereToken < 0)
        {
            return [new WritePatch(end, end, $" WHERE ({predicate})")];
        }

        var where = _tokens[slot.WhereToken].End;
        return [new WritePatch(where, where, " ("), new WritePatch(end, end, $") AND ({predicate})")];
    }

    /// <summary>What puts another query in the place of that of an INSERT; a WITH in front of the INSERT goes with it.</summary>
    public IEnumerable<WritePatch> QueryPatches(string query)
    {
        var (first, last) = _shape.Insert!.QueryTokens!.Value;
        IEnumerable<WritePatch> patches = [Replacing(new TokenSpan(first, last), query)];
        return _shape.Insert.HasWith ? [new WritePatch(0, _tokens[InsertToken(first)].Start, ""), .. patches] : patches;
    }

    /// <summary>Other text in the place of some tokens.</summary>
    public WritePatch Replacing(TokenSpan span, string text) => new(_tokens[span.First].Start, _tokens[span.Last].End, text);

    /// <summary>Parentheses around some tokens, and more behind them.</summary>
    public IEnumerable<WritePatch> Narrowing(TokenSpan span, string more) =>
        [new WritePatch(_tokens[span.First].Start, _tokens[span.First].Start, "("), new WritePatch(_tokens[span.Last].End, _tokens[span.Last].End, ") " + more)];

    /// <summary>The text of some tokens.</summary>
    public string Part(TokenSpan span) => Encoding.UTF8.GetString(_statement.Span[_tokens[span.First].Start.._tokens[span.Last].End]);

    /// <summary>One of the names may stand in some tokens.</summary>
    public bool Names(TokenSpan span, IReadOnlySet<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        return names.Count > 0 && Shapes.IdentifierCollector.Collect(_statement.Span[_tokens[span.First].Start.._tokens[span.Last].End]).Overlaps(names);
    }

    /// <summary>The text with changes that do not overlap; insertions at one place come in their order, and behind what ends there.</summary>
    public byte[] With(IEnumerable<WritePatch> patches)
    {
        ArgumentNullException.ThrowIfNull(patches);
        var text = _statement.Span;
        var result = new List<byte>(_statement.Length + 256);
        var copied = 0;
        foreach (var patch in patches.OrderBy(p => p.Start))
        {
            result.AddRange(text[copied..patch.Start]);
            result.AddRange(Encoding.UTF8.GetBytes(patch.Text));
            copied = patch.End;
        }

        result.AddRange(text[copied..]);
        return [.. result];
    }

    /// <summary>Where the statement's RETURNING, or its end, begins: an UPDATE or DELETE that has a <see cref="StatementShape.IsRestrictable"/>.</summary>
    public int ReturningStart => _tokens[_shape.TargetSlot!.Value.LastToken].End;

    // What is between it and the query cannot hold the word: INSERT INTO name (columns).
    private int InsertToken(int query) =>
        _tokens.FindLastIndex(query, t => _statement.Span[t.Start..t.End] is var word && word.Length == 6 && Encoding.ASCII.GetString(word).Equals("insert", StringComparison.OrdinalIgnoreCase));
}
