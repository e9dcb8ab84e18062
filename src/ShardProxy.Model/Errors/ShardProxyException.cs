namespace ShardProxy.Model.Errors;

/// <summary>Carries a <see cref="ShardProxyError"/> up to the border where it becomes a reply or a console message.</summary>
public sealed class ShardProxyException : Exception
{
    public ShardProxyException(ShardProxyError error)
        : base($"{error.Message} ({error.Code})") => Error = error;

    public ShardProxyException(ShardProxyError error, Exception inner)
        : base($"{error.Message} ({error.Code})", inner) => Error = error;

    public ShardProxyError Error { get; }
}
