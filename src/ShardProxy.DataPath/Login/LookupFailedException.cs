namespace ShardProxy.DataPath.Login;

/// <summary>It cannot be known at the moment whether a user exists. The message is for the log and holds no secret.</summary>
internal sealed class LookupFailedException(string message, Exception? inner = null) : Exception(message, inner);
