namespace ShardProxy.DataPath.Sessions;

/// <summary>The client closed its connection or does not read any more; the session ends quietly.</summary>
internal sealed class ClientGoneException : Exception;
