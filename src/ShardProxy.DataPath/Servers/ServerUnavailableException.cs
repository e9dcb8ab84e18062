namespace ShardProxy.DataPath.Servers;

/// <summary>No server connection could be had. Carries either the server's own error reply or an error of ours.</summary>
internal sealed class ServerUnavailableException : Exception
{
    public ServerUnavailableException(byte[] errorPayload)
        : base("the server refused the connection") => ErrorPayload = errorPayload;

    public ServerUnavailableException(Model.Errors.ShardProxyError error)
        : base(error.Message) => Error = error;

    /// <summary>Payload of the server's ErrorResponse, to be passed on byte for byte.</summary>
    public byte[]? ErrorPayload { get; }

    public Model.Errors.ShardProxyError? Error { get; }
}
