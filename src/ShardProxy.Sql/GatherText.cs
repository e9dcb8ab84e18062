using System.Text;
using ShardProxy.Sql.Lexing;

namespace ShardProxy.Sql;

/// <summary>Texts of a statement that is finished on gathered rows (<see cref="GatherQuery"/>), spliced from its own. Lexes it again: for the slow path.</summary>
public sealed class GatherText
{
    private readonly ReadOnlyMemory<byte> _statement;
    private readonly StatementShape _shape;
    private readonly List<(int Start, int End, bool IsParameter)> _tokens = [];

    /// <param name="statement">The statement's text, from a scan's Start to its End; must stay unchanged.</param>
    /// <param name="shape">The shape of exactly this text; has a <see cref="StatementShape.Gather"/>.</param>
    public GatherText(ReadOnlyMemory<byte> statement, StatementShape shape)
    {
        _statement = statement;
        _shape = shape;
        var lexer = new SqlLexer(statement.Span, 0);
        for (var kind = lexer.Next(); kind is not (TokenKind.End or TokenKind.Failed); kind = lexer.Next())
        {
            _tokens.Add((lexer.Start, lexer.End, kind == TokenKind.Parameter));
        }
    }

    /// <summary>The statement with other tables in the place of some of its relations, under the names they have in it.</summary>
    /// <param name="tableFor">The table as SQL text, or null to leave the relation as it is.</param>
    public byte[] WithTables(Func<RelationUse, string?> tableFor)
    {
        var result = new List<byte>(_statement.Length + 256);
        var copied = 0;
        foreach (var place in _shape.Gather!.Places.DistinctBy(p => p.FirstToken).OrderBy(p => p.FirstToken))
        {
            var use = _shape.Relations[place.Relation];
            if (tableFor(use) is not { } table)
            {
                continue;
            }

            // TABLE t takes a name and nothing else.
            var isWhole = place.FirstToken > 0 && _tokens[place.FirstToken - 1] is var (start, end, _) && Encoding.UTF8.GetString(_statement.Span[start..end]).Equals("table", StringComparison.OrdinalIgnoreCase);
            result.AddRange(_statement.Span[copied.._tokens[place.FirstToken - (isWhole ? 1 : 0)].Start]);
            result.AddRange(Encoding.UTF8.GetBytes((isWhole ? "SELECT * FROM " : "") + (use.Alias is null ? $"{table} AS {Model.Topology.SqlIdentifier.Quote(use.Name)}" : table)));
            copied = _tokens[place.LastToken].End;
        }

        result.AddRange(_statement.Span[copied..]);
        return [.. result];
    }

    /// <summary>A part of the text; null when one of its parameters has none.</summary>
    /// <param name="span">Which part; an empty one if its last token is before its first.</param>
    /// <param name="parameter">The text for the parameter of that number; null to leave parameters as they are.</param>
    public string? Part(TokenSpan span, Func<int, string?>? parameter)
    {
        if (span.Last < span.First)
        {
            return "";
        }

        var text = new StringBuilder();
        var copied = _tokens[span.First].Start;
        for (var i = span.First; parameter is not null && i <= span.Last; i++)
        {
            if (!_tokens[i].IsParameter)
            {
                continue;
            }

            var number = int.Parse(Encoding.ASCII.GetString(_statement.Span[(_tokens[i].Start + 1).._tokens[i].End]), System.Globalization.CultureInfo.InvariantCulture);
            if (parameter(number) is not { } value)
            {
                return null;
            }

            text.Append(Encoding.UTF8.GetString(_statement.Span[copied.._tokens[i].Start])).Append(value);
            copied = _tokens[i].End;
        }

        return text.Append(Encoding.UTF8.GetString(_statement.Span[copied.._tokens[span.Last].End])).ToString();
    }

    /// <summary>The statement with other text in some places.</summary>
    /// <param name="patches">Places that do not overlap, in any order.</param>
    public string Patched(IEnumerable<(TokenSpan Span, string Text)> patches)
    {
        ArgumentNullException.ThrowIfNull(patches);
        var text = new StringBuilder();
        var copied = 0;
        foreach (var (span, replacement) in patches.OrderBy(p => p.Span.First))
        {
            // Spaces: what stands beside may be a word.
            text.Append(Encoding.UTF8.GetString(_statement.Span[copied.._tokens[span.First].Start])).Append(' ').Append(replacement).Append(' ');
            copied = _tokens[span.Last].End;
        }

        return text.Append(Encoding.UTF8.GetString(_statement.Span[copied..])).ToString();
    }

    /// <summary>A filter's text; null when one of its parameters has none.</summary>
    public string? Filter(RelationFilter filter, Func<int, string?> parameter)
    {
        ArgumentNullException.ThrowIfNull(filter);
        return Part(new TokenSpan(filter.FirstToken, filter.LastToken), parameter);
    }
}
