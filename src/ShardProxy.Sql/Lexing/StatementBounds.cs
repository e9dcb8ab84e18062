namespace ShardProxy.Sql.Lexing;

/// <summary>What one pass over a statement found. Offsets count from the start of the scanned text.</summary>
internal readonly record struct StatementBounds(LexFailure Failure, int Start, int End, int Next, int Tokens, int ParameterCount, bool IsVerbatim)
{
    public bool IsEmpty => Start == End;
}
