using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Servers;

/// <summary>No server connection could be had. Carries either the server's own error reply or an error of ours.</summary>
internal sealed class ServerUnavailableException : Exception
{
    public ServerUnavailableException(byte[] errorPayload)
        : base("the server refused the connection")
    {
        ErrorPayload = errorPayload;
        var fields = ErrorFields.Read(errorPayload);
        SqlState = fields.SqlState;
        ServerMessage = fields.Message;
    }

    public ServerUnavailableException(Model.Errors.ShardProxyError error)
        : base(error.Message)
    {
        Error = error;
        SqlState = error.SqlState;
    }

    /// <summary>Payload of the server's ErrorResponse, to be passed on byte for byte.</summary>
    public byte[]? ErrorPayload { get; }

    public Model.Errors.ShardProxyError? Error { get; }

    /// <summary>SQLSTATE of either.</summary>
    public string SqlState { get; }

    /// <summary>The server's own message, or empty.</summary>
    public string ServerMessage { get; } = "";

    /// <summary>The same for somebody else: an exception is thrown once.</summary>
    public ServerUnavailableException Again() => ErrorPayload is { } payload ? new ServerUnavailableException(payload) : new ServerUnavailableException(Error!);
}
