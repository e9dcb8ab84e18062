namespace ShardProxy.DataPath.Sessions;

/// <summary>The session's server has ended it with a FATAL error: the client is told just that, and its connection closed.</summary>
internal sealed class SessionEndedException(byte[] words) : Exception
{
    /// <summary>Payload of the ErrorResponse.</summary>
    public byte[] Words { get; } = words;
}
