namespace ShardProxy.Sql.Lexing;

/// <summary>Why a text cannot be cut into tokens, or will not be.</summary>
internal enum LexFailure : byte
{
    None,
    UnterminatedString,
    UnterminatedBitString,
    UnterminatedDollarString,
    UnterminatedIdentifier,
    UnterminatedComment,
    ZeroLengthIdentifier,
    NulByte,
    InvalidUtf8,
    TooManyTokens,
    TooManyTerms,
    TooManyLiterals,
    TooDeep,
    TooLong,
}
