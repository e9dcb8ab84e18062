using ShardProxy.Sql.Lexing;

namespace ShardProxy.Sql;

/// <summary>
/// The SELECT inside DECLARE, EXPLAIN or COPY (…) TO. Token ordinals count from the statement's first token and are the same in every text of a shape.
/// </summary>
/// <param name="FirstToken">Its first token.</param>
/// <param name="LastToken">Its last token.</param>
/// <param name="HasOwnForm">DECLARE … WITH HOLD, or EXPLAIN in another format than text.</param>
/// <param name="IsAnalyzed">EXPLAIN ANALYZE: it is run.</param>
public sealed record EnclosedQuery(int FirstToken, int LastToken, bool HasOwnForm, bool IsAnalyzed)
{
    /// <summary>Where it stands in a text of the shape, from a scan's Start to its End. Lexes it: for the slow path.</summary>
    public Range In(ReadOnlySpan<byte> statement)
    {
        var lexer = new SqlLexer(statement, 0);
        var start = 0;
        var kind = lexer.Next();
        for (var token = 0; kind is not (TokenKind.End or TokenKind.Failed); kind = lexer.Next(), token++)
        {
            start = token == FirstToken ? lexer.Start : start;
            if (token == LastToken)
            {
                return start..lexer.End;
            }
        }

        return start..statement.Length;
    }
}
