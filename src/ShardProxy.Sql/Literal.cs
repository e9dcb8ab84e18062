namespace ShardProxy.Sql;

/// <summary>
/// One literal of a statement text: a byte slice that includes quotes and prefix. The <c>N</c> of <c>N'…'</c> and the sign of
/// a number are tokens of their own and not part of it.
/// </summary>
/// <param name="Offset">Byte offset in the text given to the scan.</param>
/// <param name="Length">Length in bytes.</param>
/// <param name="Kind">How it is written.</param>
public readonly record struct Literal(int Offset, int Length, LiteralKind Kind);
