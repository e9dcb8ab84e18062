using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Somebody else wants a session to end: an administrator, a time-out, the end of the proxy.</summary>
/// <param name="Error">What the client is told, as FATAL.</param>
/// <param name="RequestedAt">Timestamp of the request.</param>
/// <param name="AfterTransaction">A transaction under way may finish first.</param>
/// <param name="StateSince">Only if the session is still in the state it entered then; null for whatever it does meanwhile.</param>
internal sealed record EndRequest(ShardProxyError Error, long RequestedAt, bool AfterTransaction, long? StateSince);

/// <summary>The session ends because an <see cref="EndRequest"/> says so; the client is told.</summary>
internal sealed class SessionStoppedException(ShardProxyError error) : Exception
{
    public ShardProxyError Error { get; } = error;
}
