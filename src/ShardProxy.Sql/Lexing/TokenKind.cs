namespace ShardProxy.Sql.Lexing;

/// <summary>What the lexer found. Named after the tokens of PostgreSQL's scan.l.</summary>
internal enum TokenKind : byte
{
    /// <summary>The text is at its end.</summary>
    End,

    /// <summary>An unquoted identifier or a key word.</summary>
    Word,

    /// <summary><c>"…"</c>.</summary>
    QuotedIdentifier,

    /// <summary><c>U&amp;"…"</c>; its name depends on a UESCAPE that may follow.</summary>
    UnicodeIdentifier,

    /// <summary>A literal of any kind; see <see cref="SqlLexer.LiteralKind"/>.</summary>
    Literal,

    /// <summary><c>$1</c>.</summary>
    Parameter,

    /// <summary>One or more operator characters.</summary>
    Operator,

    /// <summary>One of <c>, ( ) [ ] . ; :</c> or the pairs <c>:: .. :=</c>.</summary>
    Punctuation,

    /// <summary>
    /// Something PostgreSQL 15 does not know, such as <c>0x1F</c> or a control character. A newer server may: the statement then
    /// does not parse here and is treated as unparsable.
    /// </summary>
    Unknown,

    /// <summary>The text cannot be cut into tokens; see <see cref="SqlLexer.Failure"/>.</summary>
    Failed,
}
