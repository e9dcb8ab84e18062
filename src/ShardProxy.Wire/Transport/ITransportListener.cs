using System.Net;

namespace ShardProxy.Wire.Transport;

/// <summary>A bound, listening address. Disposing stops it; connections already accepted live on.</summary>
public interface ITransportListener : IAsyncDisposable
{
    /// <summary>Where it listens, with the real port.</summary>
    IPEndPoint LocalEndPoint { get; }

    /// <summary>
    /// The next connection, or null once the listener is stopped. A connection that broke while it waited is passed over; when the
    /// process is out of descriptors the call waits for some to come free. One caller at a time.
    /// </summary>
    /// <exception cref="OperationCanceledException">The token was cancelled; the listener goes on.</exception>
    ValueTask<ITransportConnection?> AcceptAsync(CancellationToken cancellationToken);
}
