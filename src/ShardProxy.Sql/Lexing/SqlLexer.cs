using System.Buffers;
using System.Runtime.CompilerServices;

namespace ShardProxy.Sql.Lexing;

/// <summary>
/// Cuts UTF-8 text into the tokens PostgreSQL 15's own lexer (src/backend/parser/scan.l) would find, with
/// <c>standard_conforming_strings</c> on. Every byte above 127 is an identifier character, as there, so that any bytes at all
/// can be scanned; encoding is checked elsewhere. Allocates nothing.
/// </summary>
internal ref struct SqlLexer
{
    private static readonly SearchValues<byte> NonSqlOperatorCharacters = SearchValues.Create("~!@#^&|`?%"u8);

    private readonly ReadOnlySpan<byte> _text;
    private int _position;

    public SqlLexer(ReadOnlySpan<byte> text, int start)
    {
        _text = text;
        _position = start;
    }

    /// <summary>Offset of the current token's first byte.</summary>
    public int Start { get; private set; }

    /// <summary>Offset after the current token's last byte.</summary>
    public readonly int End => _position;

    /// <summary>Kind of the current token when it is a literal.</summary>
    public LiteralKind LiteralKind { get; private set; }

    /// <summary>The reason of <see cref="TokenKind.Failed"/>.</summary>
    public LexFailure Failure { get; private set; }

    /// <summary>Moves to the next token. After <see cref="TokenKind.End"/> or <see cref="TokenKind.Failed"/> do not call again.</summary>
    public TokenKind Next()
    {
        if (!SkipBlank())
        {
            return Fail(LexFailure.UnterminatedComment);
        }

        Start = _position;
        if (_position >= _text.Length)
        {
            return TokenKind.End;
        }

        var c = _text[_position];
        var flags = CharClass.Of(c);
        if ((flags & CharClass.IdentifierStart) != 0)
        {
            return WordOrPrefixed(c);
        }

        if ((flags & CharClass.Digit) != 0)
        {
            return Number();
        }

        if ((flags & CharClass.Operator) != 0)
        {
            return Operator();
        }

        switch (c)
        {
            case (byte)'\'':
                _position++;
                return QuotedLiteral(LiteralKind.String, LexFailure.UnterminatedString);
            case (byte)'"':
                _position++;
                return QuotedName(TokenKind.QuotedIdentifier);
            case (byte)'$':
                return Dollar();
            case (byte)'.':
                if (CharClass.Is(Peek(1), CharClass.Digit))
                {
                    return Number();
                }

                _position += Peek(1) == '.' ? 2 : 1;
                return TokenKind.Punctuation;
            case (byte)':':
                _position += Peek(1) is (byte)':' or (byte)'=' ? 2 : 1;
                return TokenKind.Punctuation;
            case (byte)',' or (byte)'(' or (byte)')' or (byte)'[' or (byte)']' or (byte)';':
                _position++;
                return TokenKind.Punctuation;
            case 0:
                return Fail(LexFailure.NulByte);
            default:
                _position++;
                return TokenKind.Unknown;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly byte Peek(int ahead) => _position + ahead < _text.Length ? _text[_position + ahead] : (byte)0;

    private TokenKind Fail(LexFailure failure)
    {
        Failure = failure;
        return TokenKind.Failed;
    }

    /// <summary>Skips white space and comments; false when a block comment does not end.</summary>
    private bool SkipBlank()
    {
        while (_position < _text.Length)
        {
            var c = _text[_position];
            if (CharClass.Is(c, CharClass.Space))
            {
                _position++;
            }
            else if (c == '-' && Peek(1) == '-')
            {
                SkipLineComment();
            }
            else if (c == '/' && Peek(1) == '*')
            {
                if (!SkipBlockComment())
                {
                    return false;
                }
            }
            else
            {
                return true;
            }
        }

        return true;
    }

    private void SkipLineComment()
    {
        var length = _text[_position..].IndexOfAny((byte)'\n', (byte)'\r');
        _position = length < 0 ? _text.Length : _position + length;
    }

    private bool SkipBlockComment()
    {
        Start = _position;
        _position += 2;
        var depth = 1;
        while (depth > 0)
        {
            var skip = _text[_position..].IndexOfAny((byte)'*', (byte)'/');
            if (skip < 0)
            {
                return false;
            }

            _position += skip;
            if (_text[_position] == '*' && Peek(1) == '/')
            {
                depth--;
                _position += 2;
            }
            else if (_text[_position] == '/' && Peek(1) == '*')
            {
                depth++;
                _position += 2;
            }
            else
            {
                _position++;
            }
        }

        return true;
    }

    private TokenKind WordOrPrefixed(byte first)
    {
        var second = Peek(1);
        if (second == '\'')
        {
            switch (first | 0x20)
            {
                case 'e':
                    _position += 2;
                    return QuotedLiteral(LiteralKind.EscapeString, LexFailure.UnterminatedString);
                case 'b' or 'x':
                    _position += 2;
                    return QuotedLiteral(LiteralKind.BitString, LexFailure.UnterminatedBitString);
                case 'n':
                    // scan.l gives the key word NCHAR and leaves the quote for the next token.
                    _position++;
                    return TokenKind.Word;
                default:
                    break;
            }
        }
        else if (second == '&' && (first | 0x20) == 'u')
        {
            if (Peek(2) == '\'')
            {
                _position += 3;
                return QuotedLiteral(LiteralKind.UnicodeString, LexFailure.UnterminatedString);
            }

            if (Peek(2) == '"')
            {
                _position += 3;
                return QuotedName(TokenKind.UnicodeIdentifier);
            }
        }

        SkipIdentifierPart();
        return TokenKind.Word;
    }

    private void SkipIdentifierPart()
    {
        while (_position < _text.Length && CharClass.Is(_text[_position], CharClass.IdentifierPart))
        {
            _position++;
        }
    }

    private TokenKind QuotedName(TokenKind kind)
    {
        var bodyStart = _position;
        while (true)
        {
            var length = _text[_position..].IndexOf((byte)'"');
            if (length < 0)
            {
                _position = _text.Length;
                return Fail(LexFailure.UnterminatedIdentifier);
            }

            _position += length + 1;
            if (Peek(0) != '"')
            {
                return _position - 1 == bodyStart ? Fail(LexFailure.ZeroLengthIdentifier) : kind;
            }

            _position++;
        }
    }

    /// <summary>The rest of a literal whose opening quote is behind us, with its continuations over line ends.</summary>
    private TokenKind QuotedLiteral(LiteralKind kind, LexFailure failure)
    {
        do
        {
            if (!SkipQuoted(kind))
            {
                return Fail(failure);
            }
        }
        while (SkipToContinuation());
        LiteralKind = kind;
        return TokenKind.Literal;
    }

    private bool SkipQuoted(LiteralKind kind)
    {
        var hasEscapes = kind == LiteralKind.EscapeString;
        while (true)
        {
            var rest = _text[_position..];
            var length = hasEscapes ? rest.IndexOfAny((byte)'\'', (byte)'\\') : rest.IndexOf((byte)'\'');
            if (length < 0)
            {
                _position = _text.Length;
                return false;
            }

            _position += length;
            if (_text[_position] == '\\')
            {
                if (_position + 2 > _text.Length - 1)
                {
                    // Nothing can follow that closes the literal.
                    _position = _text.Length;
                    return false;
                }

                _position += 2;
                continue;
            }

            // A doubled quote stands for one, but not in bit strings: there the second opens another literal.
            _position++;
            if (Peek(0) != '\'' || kind == LiteralKind.BitString)
            {
                return true;
            }

            _position++;
        }
    }

    /// <summary>
    /// True when, after white space with a line end in it (line comments count as white space), another quote continues the
    /// literal; the position is then behind that quote.
    /// </summary>
    private bool SkipToContinuation()
    {
        var i = _position;
        var hasNewline = false;
        while (i < _text.Length)
        {
            var c = _text[i];
            if (c is (byte)'\n' or (byte)'\r')
            {
                hasNewline = true;
                i++;
            }
            else if (CharClass.Is(c, CharClass.Space))
            {
                i++;
            }
            else if (c == '-' && i + 1 < _text.Length && _text[i + 1] == '-')
            {
                var length = _text[i..].IndexOfAny((byte)'\n', (byte)'\r');
                if (length < 0)
                {
                    return false;
                }

                i += length;
            }
            else if (c == '\'' && hasNewline)
            {
                _position = i + 1;
                return true;
            }
            else
            {
                return false;
            }
        }

        return false;
    }

    private TokenKind Dollar()
    {
        var next = Peek(1);
        if (CharClass.Is(next, CharClass.Digit))
        {
            _position++;
            SkipDigits();
            if (CharClass.Is(Peek(0), CharClass.IdentifierStart))
            {
                SkipIdentifierPart();
                return TokenKind.Unknown;
            }

            return TokenKind.Parameter;
        }

        var i = _position + 1;
        if (CharClass.Is(next, CharClass.IdentifierStart))
        {
            while (i < _text.Length && CharClass.Is(_text[i], CharClass.TagPart))
            {
                i++;
            }
        }

        if (i >= _text.Length || _text[i] != '$')
        {
            _position++;
            return TokenKind.Unknown;
        }

        var delimiter = _text[_position..(i + 1)];
        var body = _text[(i + 1)..];
        var end = body.IndexOf(delimiter);
        if (end < 0)
        {
            _position = _text.Length;
            return Fail(LexFailure.UnterminatedDollarString);
        }

        _position = i + 1 + end + delimiter.Length;
        LiteralKind = LiteralKind.DollarString;
        return TokenKind.Literal;
    }

    private void SkipDigits()
    {
        while (_position < _text.Length && CharClass.Is(_text[_position], CharClass.Digit))
        {
            _position++;
        }
    }

    private TokenKind Number()
    {
        SkipDigits();
        var isInteger = true;

        // "1..10" is 1, then "..": the dot belongs to the number only if no second one follows.
        if (Peek(0) == '.' && !(Peek(1) == '.' && _position > Start))
        {
            isInteger = false;
            _position++;
            SkipDigits();
        }

        if ((Peek(0) | 0x20) == 'e')
        {
            var sign = Peek(1) is (byte)'+' or (byte)'-' ? 1 : 0;
            if (CharClass.Is(Peek(1 + sign), CharClass.Digit))
            {
                isInteger = false;
                _position += 1 + sign;
                SkipDigits();
            }
        }

        if (CharClass.Is(Peek(0), CharClass.IdentifierStart))
        {
            // Junk after a number in PostgreSQL 15, perhaps a hexadecimal number or digit groups in a newer one.
            SkipIdentifierPart();
            return TokenKind.Unknown;
        }

        LiteralKind = isInteger && LiteralReader.FitsInt64(_text[Start.._position]) ? LiteralKind.Integer : LiteralKind.Decimal;
        return TokenKind.Literal;
    }

    private TokenKind Operator()
    {
        var length = 1;
        while (_position + length < _text.Length)
        {
            var c = _text[_position + length];
            if (!CharClass.Is(c, CharClass.Operator))
            {
                break;
            }

            // A comment starts even inside a run of operator characters and ends the operator.
            var previous = _text[_position + length - 1];
            if ((c == '-' && previous == '-') || (c == '*' && previous == '/'))
            {
                length--;
                break;
            }

            length++;
        }

        // SQL requires "a+-b" to be two operators: a trailing sign belongs to the operator only when a character is in it that
        // no SQL operator has (scan.l, rule {operator}).
        if (length > 1 && _text[_position + length - 1] is (byte)'+' or (byte)'-'
            && _text.Slice(_position, length - 1).IndexOfAny(NonSqlOperatorCharacters) < 0)
        {
            do
            {
                length--;
            }
            while (length > 1 && _text[_position + length - 1] is (byte)'+' or (byte)'-');
        }

        _position += length;
        return TokenKind.Operator;
    }
}
