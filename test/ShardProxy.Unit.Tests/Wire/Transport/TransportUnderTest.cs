using System.Net;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Unit.Tests.Wire.Transport;

/// <summary>A transport and what ends it.</summary>
internal sealed class TransportUnderTest(ITransport transport, IDisposable end) : ITransport, IAsyncDisposable
{
    public ValueTask<ITransportListener> ListenAsync(IPEndPoint endPoint, CancellationToken cancellationToken) => transport.ListenAsync(endPoint, cancellationToken);

    public ITransportListener Receive(System.Net.Sockets.Socket channel) => transport.Receive(channel);

    public ValueTask<ITransportConnection> ConnectAsync(IPEndPoint endPoint, CancellationToken cancellationToken) => transport.ConnectAsync(endPoint, cancellationToken);

    public ValueTask DisposeAsync()
    {
        // Off the loops' own threads, which it waits for.
        return new ValueTask(Task.Run(end.Dispose));
    }
}
