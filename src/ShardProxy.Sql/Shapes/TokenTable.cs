using ShardProxy.Sql.Lexing;

namespace ShardProxy.Sql.Shapes;

/// <summary>All tokens of one statement text, for what the parse tree does not tell: signs of constants, ends of clauses.</summary>
internal sealed class TokenTable
{
    private readonly List<Token> _tokens = [];
    private readonly byte[] _text;
    private readonly int _length;

    /// <param name="text">The text; bytes from <paramref name="length"/> on do not belong to it.</param>
    /// <param name="length">Length of the text.</param>
    public TokenTable(byte[] text, int length)
    {
        _text = text;
        _length = length;
        var lexer = new SqlLexer(text.AsSpan(0, length), 0);
        while (true)
        {
            var kind = lexer.Next();
            if (kind is TokenKind.End or TokenKind.Failed)
            {
                return;
            }

            _tokens.Add(new Token(kind, lexer.Start, lexer.End - lexer.Start));
        }
    }

    public int Count => _tokens.Count;

    /// <summary>A name is written with Unicode escapes: it cannot be told from its token.</summary>
    public bool HasUnicodeNames => _tokens.Exists(static t => t.Kind == TokenKind.UnicodeIdentifier);

    public ReadOnlySpan<byte> Statement => _text.AsSpan(0, _length);

    public Token this[int index] => _tokens[index];

    /// <summary>Bytes of a token.</summary>
    public ReadOnlySpan<byte> Bytes(int index) => _text.AsSpan(_tokens[index].Start, _tokens[index].Length);

    /// <summary>Ordinal of the token that begins exactly there, or -1.</summary>
    public int At(int offset)
    {
        int low = 0, high = _tokens.Count - 1;
        while (low <= high)
        {
            var middle = (low + high) >>> 1;
            var start = _tokens[middle].Start;
            if (start == offset)
            {
                return middle;
            }

            if (start < offset)
            {
                low = middle + 1;
            }
            else
            {
                high = middle - 1;
            }
        }

        return -1;
    }

    /// <summary>True when a token exists and is that unquoted key word, in any case.</summary>
    public bool IsWord(int index, ReadOnlySpan<byte> lower) =>
        index >= 0 && index < Count && _tokens[index].Kind == TokenKind.Word && Words.Is(Bytes(index), lower);

    /// <summary>True when a token exists and is that one punctuation or operator character.</summary>
    public bool IsSign(int index, char sign) =>
        index >= 0 && index < Count && _tokens[index].Kind is TokenKind.Punctuation or TokenKind.Operator
        && _tokens[index].Length == 1 && _text[_tokens[index].Start] == sign;

    public bool IsName(int index) =>
        index >= 0 && index < Count && _tokens[index].Kind is TokenKind.Word or TokenKind.QuotedIdentifier or TokenKind.UnicodeIdentifier;

    internal readonly record struct Token(TokenKind Kind, int Start, int Length)
    {
        public int End => Start + Length;
    }
}
