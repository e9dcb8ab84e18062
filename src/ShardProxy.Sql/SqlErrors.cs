using ShardProxy.Model.Errors;
using ShardProxy.Sql.Lexing;

namespace ShardProxy.Sql;

/// <summary>The errors of statement analysis, made once. SQLSTATEs are those PostgreSQL gives for the same fault.</summary>
internal static class SqlErrors
{
    private const string ComplexityHint = "Split the statement, or pass the values as one array or with COPY.";

    private static readonly ShardProxyError InvalidUtf8 = new(
        "22021", "SHP-280", "invalid byte sequence for encoding \"UTF8\"", "Set client_encoding to UTF8 and send valid text.");

    private static readonly ShardProxyError NulByte = new(
        "22021", "SHP-281", "invalid byte sequence for encoding \"UTF8\": 0x00", "Text cannot contain NUL characters.");

    private static readonly ShardProxyError UnterminatedString = new("42601", "SHP-282", "unterminated quoted string");

    private static readonly ShardProxyError UnterminatedBitString = new("42601", "SHP-282", "unterminated bit string literal");

    private static readonly ShardProxyError UnterminatedDollarString = new("42601", "SHP-282", "unterminated dollar-quoted string");

    private static readonly ShardProxyError UnterminatedIdentifier = new("42601", "SHP-282", "unterminated quoted identifier");

    private static readonly ShardProxyError UnterminatedComment = new("42601", "SHP-282", "unterminated /* comment");

    private static readonly ShardProxyError ZeroLengthIdentifier = new("42601", "SHP-282", "zero-length delimited identifier");

    private static readonly ShardProxyError TooManyTokens = new("54001", "SHP-283", "statement has too many tokens", ComplexityHint);

    private static readonly ShardProxyError TooManyTerms = new("54001", "SHP-283", "statement has too many operators or joins", ComplexityHint);

    private static readonly ShardProxyError TooManyLiterals = new("54001", "SHP-283", "statement has too many literals", ComplexityHint);

    private static readonly ShardProxyError TooDeep = new("54001", "SHP-284", "statement is nested too deeply", "Nest fewer parentheses.");

    private static readonly ShardProxyError TooLong = new("54000", "SHP-285", "statement is too long", ComplexityHint);

    /// <summary>The error a client sees for a failure; the failure must not be None.</summary>
    public static ShardProxyError Of(LexFailure failure) => failure switch
    {
        LexFailure.InvalidUtf8 => InvalidUtf8,
        LexFailure.NulByte => NulByte,
        LexFailure.UnterminatedString => UnterminatedString,
        LexFailure.UnterminatedBitString => UnterminatedBitString,
        LexFailure.UnterminatedDollarString => UnterminatedDollarString,
        LexFailure.UnterminatedIdentifier => UnterminatedIdentifier,
        LexFailure.UnterminatedComment => UnterminatedComment,
        LexFailure.ZeroLengthIdentifier => ZeroLengthIdentifier,
        LexFailure.TooManyTokens => TooManyTokens,
        LexFailure.TooManyTerms => TooManyTerms,
        LexFailure.TooManyLiterals => TooManyLiterals,
        LexFailure.TooDeep => TooDeep,
        LexFailure.TooLong => TooLong,
        _ => throw new ArgumentOutOfRangeException(nameof(failure)),
    };
}
