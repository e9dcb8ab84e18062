namespace ShardProxy.Sql;

/// <summary>How a literal is written. Part of a statement's normal form: texts that differ in it do not share a shape.</summary>
public enum LiteralKind : byte
{
    /// <summary>Digits only, and the value fits a signed 64-bit integer.</summary>
    Integer = 1,

    /// <summary>Any other number: a fraction, an exponent, or too large for 64 bits.</summary>
    Decimal = 2,

    /// <summary><c>'…'</c> with <c>standard_conforming_strings</c> on: a backslash is an ordinary character.</summary>
    String = 3,

    /// <summary><c>E'…'</c>.</summary>
    EscapeString = 4,

    /// <summary><c>$tag$…$tag$</c>.</summary>
    DollarString = 5,

    /// <summary><c>U&amp;'…'</c>.</summary>
    UnicodeString = 6,

    /// <summary><c>B'…'</c> and <c>X'…'</c>.</summary>
    BitString = 7,
}
