namespace ShardProxy.Admin.Console.Syntax;

internal enum TokenKind
{
    End,
    Word,
    QuotedIdentifier,
    String,
    Number,
    Symbol,
}

/// <summary>One token. <see cref="Text"/> is the value: folded for words, unescaped for quoted ones.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">The value.</param>
/// <param name="Start">Zero-based offset in the statement.</param>
/// <param name="End">Offset behind the token.</param>
internal readonly record struct ConsoleToken(TokenKind Kind, string Text, int Start, int End)
{
    /// <summary>True for an unquoted word; keywords are compared folded.</summary>
    public bool Is(string keyword) => Kind == TokenKind.Word && string.Equals(Text, keyword, StringComparison.OrdinalIgnoreCase);

    public bool IsSymbol(char symbol) => Kind == TokenKind.Symbol && Text[0] == symbol;
}
