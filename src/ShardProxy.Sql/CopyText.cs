using System.Text;
using ShardProxy.Sql.Lexing;

namespace ShardProxy.Sql;

/// <summary>Texts of COPY. Lexes the statement: for the slow path.</summary>
public static class CopyText
{
    /// <summary>COPY table … TO as COPY of a query, with the same target and options.</summary>
    /// <param name="statement">The statement's text, from a scan's Start to its End.</param>
    /// <param name="query">The query.</param>
    public static byte[] WithQuery(ReadOnlySpan<byte> statement, string query)
    {
        var lexer = new SqlLexer(statement, 0);
        for (var kind = lexer.Next(); kind is not (TokenKind.End or TokenKind.Failed); kind = lexer.Next())
        {
            // TO is a reserved word: neither the table nor a column can be it without quotes.
            if (kind == TokenKind.Word && Words.Is(statement[lexer.Start..lexer.End], "to"u8))
            {
                return [.. "COPY ("u8, .. Encoding.UTF8.GetBytes(query), .. ") "u8, .. statement[lexer.Start..]];
            }
        }

        return statement.ToArray();
    }

    /// <summary>The COPY with further columns at the end of its column list.</summary>
    /// <param name="statement">The statement's text, from a scan's Start to its End; it has a column list.</param>
    /// <param name="columns">Names as SQL.</param>
    public static byte[] WithColumns(ReadOnlySpan<byte> statement, IEnumerable<string> columns)
    {
        // The list is the first thing in parentheses.
        var lexer = new SqlLexer(statement, 0);
        for (var kind = lexer.Next(); kind is not (TokenKind.End or TokenKind.Failed); kind = lexer.Next())
        {
            if (kind == TokenKind.Punctuation && statement[lexer.Start] == (byte)')')
            {
                return [.. statement[..lexer.Start], .. Encoding.UTF8.GetBytes($", {string.Join(", ", columns)}"), .. statement[lexer.Start..]];
            }
        }

        return statement.ToArray();
    }
}
