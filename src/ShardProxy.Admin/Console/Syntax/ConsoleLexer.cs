using System.Text;

namespace ShardProxy.Admin.Console.Syntax;

/// <summary>
/// Cuts a console statement into tokens, as PostgreSQL's lexer would (documentation, section 4.1): unquoted words fold to lower
/// case, comments nest. Tokens are made on demand, so that the free text behind EXPLAIN ROUTE is never looked at.
/// </summary>
internal sealed class ConsoleLexer(string text)
{
    private const int MaxIdentifierBytes = 63;
    private int _offset;

    /// <summary>The next token; <see cref="TokenKind.End"/> again and again at the end.</summary>
    public ConsoleToken Next()
    {
        SkipBlanks();
        if (_offset >= text.Length)
        {
            return new ConsoleToken(TokenKind.End, "", text.Length, text.Length);
        }

        var c = text[_offset];
        return c switch
        {
            '\'' => Quoted('\'', TokenKind.String),
            '"' => Identifier(Quoted('"', TokenKind.QuotedIdentifier)),
            _ when IsWordStart(c) => Identifier(Run(TokenKind.Word, IsWordPart, fold: true)),
            _ when char.IsAsciiDigit(c) => Run(TokenKind.Number, static d => char.IsAsciiLetterOrDigit(d) || d == '.', fold: false),
            _ => new ConsoleToken(TokenKind.Symbol, text.Substring(_offset, 1), _offset, ++_offset),
        };
    }

    private static bool IsWordStart(char c) => char.IsAsciiLetter(c) || c == '_' || c >= 0x80;

    private static bool IsWordPart(char c) => IsWordStart(c) || char.IsAsciiDigit(c) || c == '$';

    private ConsoleToken Run(TokenKind kind, Func<char, bool> belongs, bool fold)
    {
        var start = _offset;
        while (_offset < text.Length && belongs(text[_offset]))
        {
            _offset++;
        }

        var value = text[start.._offset];
        return new ConsoleToken(kind, fold ? FoldAscii(value) : value, start, _offset);
    }

    private ConsoleToken Quoted(char quote, TokenKind kind)
    {
        var start = _offset++;
        var value = new StringBuilder();
        while (_offset < text.Length)
        {
            var c = text[_offset++];
            if (c != quote)
            {
                value.Append(c);
            }
            else if (_offset < text.Length && text[_offset] == quote)
            {
                value.Append(quote);
                _offset++;
            }
            else
            {
                return new ConsoleToken(kind, value.ToString(), start, _offset);
            }
        }

        throw ConsoleErrors.Syntax(
            quote == '"' ? "unterminated quoted identifier" : "unterminated quoted string", start, "Close it with " + quote + ".");
    }

    private static ConsoleToken Identifier(ConsoleToken token)
    {
        // PostgreSQL cuts longer names and warns; a console that acts on tables must not guess which one was meant.
        if (Encoding.UTF8.GetByteCount(token.Text) > MaxIdentifierBytes)
        {
            throw ConsoleErrors.Syntax("identifier is longer than 63 bytes", token.Start, "Write the name as PostgreSQL stores it.");
        }

        return token.Kind == TokenKind.QuotedIdentifier && token.Text.Length == 0
            ? throw ConsoleErrors.Syntax("zero-length quoted identifier", token.Start, "Write a name between the quotes.")
            : token;
    }

    private static string FoldAscii(string word) =>
        string.Create(word.Length, word, static (span, source) =>
        {
            for (var i = 0; i < span.Length; i++)
            {
                span[i] = char.IsAsciiLetterUpper(source[i]) ? (char)(source[i] | 0x20) : source[i];
            }
        });

    private void SkipBlanks()
    {
        while (_offset < text.Length)
        {
            if (char.IsWhiteSpace(text[_offset]))
            {
                _offset++;
            }
            else if (StartsWith("--"))
            {
                var newline = text.IndexOf('\n', _offset);
                _offset = newline < 0 ? text.Length : newline + 1;
            }
            else if (StartsWith("/*"))
            {
                SkipBlockComment();
            }
            else
            {
                return;
            }
        }
    }

    private void SkipBlockComment()
    {
        var start = _offset;
        var depth = 0;
        do
        {
            if (_offset >= text.Length)
            {
                throw ConsoleErrors.Syntax("unterminated /* comment", start, "Close it with */.");
            }

            if (StartsWith("/*"))
            {
                depth++;
                _offset += 2;
            }
            else if (StartsWith("*/"))
            {
                depth--;
                _offset += 2;
            }
            else
            {
                _offset++;
            }
        }
        while (depth > 0);
    }

    private bool StartsWith(string what) => string.CompareOrdinal(text, _offset, what, 0, what.Length) == 0;
}
