using System.Net;
using System.Net.Sockets;
using ShardProxy.Wire.Transport;
using ShardProxy.Wire.Transport.Epoll;

namespace ShardProxy.Unit.Tests.Wire.Transport;

/// <summary>Two ends of one connection, both through the transport.</summary>
internal sealed class TransportPair : IAsyncDisposable
{
    private readonly TransportUnderTest _transport;
    private readonly ITransportListener _listener;

    private TransportPair(TransportUnderTest transport, ITransportListener listener, ITransportConnection client, ITransportConnection server)
    {
        _transport = transport;
        _listener = listener;
        Client = client;
        Server = server;
    }

    public ITransportConnection Client { get; }

    public ITransportConnection Server { get; }

    public ITransportConnection? Accepted { get; private set; }

    /// <summary>A transport by its name: Kestrel or Epoll.</summary>
    public static TransportUnderTest Create(string kind, SocketTransportOptions options)
    {
        if (kind == "Epoll")
        {
            var epoll = new EpollTransport(options.EventLoops > 0 ? options : options with { EventLoops = 2 });
            return new TransportUnderTest(epoll, epoll);
        }

        var kestrel = new SocketTransport(options);
        return new TransportUnderTest(kestrel, kestrel);
    }

    public static async Task<TransportPair> OpenAsync(string kind, IPEndPoint endPoint, SocketTransportOptions options, CancellationToken cancellationToken)
    {
        var transport = Create(kind, options);
        var listener = await transport.ListenAsync(endPoint, cancellationToken);
        var accept = listener.AcceptAsync(cancellationToken);
        var client = await transport.ConnectAsync(listener.LocalEndPoint, cancellationToken);
        var server = await accept;
        return new TransportPair(transport, listener, client, server!);
    }

    /// <summary>A plain socket that connects and never reads; its other end is <see cref="Accepted"/>.</summary>
    public Task<Socket> OpenMutePeerAsync(CancellationToken cancellationToken) => OpenPlainPeerAsync(4096, cancellationToken);

    /// <summary>A plain socket that connects; its other end is <see cref="Accepted"/>.</summary>
    public async Task<Socket> OpenPlainPeerAsync(int receiveBufferBytes, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = receiveBufferBytes };
        var accept = _listener.AcceptAsync(cancellationToken);
        await socket.ConnectAsync(_listener.LocalEndPoint, cancellationToken);
        Accepted = await accept;
        return socket;
    }

    /// <summary>One more connection over the same transport.</summary>
    public async Task<Link> OpenAnotherAsync(CancellationToken cancellationToken)
    {
        var accept = _listener.AcceptAsync(cancellationToken);
        var client = await _transport.ConnectAsync(_listener.LocalEndPoint, cancellationToken);
        return new Link(client, (await accept)!);
    }

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        await Server.DisposeAsync();
        await _listener.DisposeAsync();
        await _transport.DisposeAsync();
    }

    /// <summary>Both ends of a connection.</summary>
    public sealed record Link(ITransportConnection Client, ITransportConnection Server) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Client.DisposeAsync();
            await Server.DisposeAsync();
        }
    }
}
