namespace ShardProxy.Wire.Framing;

/// <summary>The peer broke the protocol; its connection ends, nothing else does.</summary>
public sealed class ProtocolException : Exception
{
    public ProtocolException(string sqlState, string message)
        : base(message) => SqlState = sqlState;

    /// <summary>Five-character SQLSTATE, mostly 08P01.</summary>
    public string SqlState { get; }
}
