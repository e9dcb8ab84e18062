using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using ShardProxy.Wire.Transport;
using ShardProxy.Wire.Transport.Epoll;

namespace ShardProxy.Micro;

/// <summary>
/// What a transport costs by itself: takes connections and copies their bytes to and from a server, a connection each, until it is
/// ended. To be put between pgbench and PostgreSQL; its processor time a transaction is the floor below the proxy's.
/// </summary>
internal static class BareRelay
{
    public const string Help = "--relay LISTEN-PORT SERVER-PORT epoll|kestrel [LOOPS]";

    public static async Task<int> RunAsync(string[] arguments)
    {
        var listenPort = int.Parse(arguments[1], CultureInfo.InvariantCulture);
        var server = new IPEndPoint(IPAddress.Loopback, int.Parse(arguments[2], CultureInfo.InvariantCulture));
        var options = new SocketTransportOptions { EventLoops = arguments.Length > 4 ? int.Parse(arguments[4], CultureInfo.InvariantCulture) : 0 };
        ITransport transport = arguments[3] == "epoll" ? new EpollTransport(options) : new SocketTransport(options);
        await using var listener = await transport.ListenAsync(new IPEndPoint(IPAddress.Loopback, listenPort), CancellationToken.None);
        while (await listener.AcceptAsync(CancellationToken.None) is { } client)
        {
            _ = RelayAsync(transport, client, server);
        }

        return 0;
    }

    private static async Task RelayAsync(ITransport transport, ITransportConnection client, IPEndPoint server)
    {
        await using (client.ConfigureAwait(false))
        {
            var backend = await transport.ConnectAsync(server, CancellationToken.None).ConfigureAwait(false);
            await using (backend.ConfigureAwait(false))
            {
                await Task.WhenAll(CopyAsync(client.Input, backend), CopyAsync(backend.Input, client)).ConfigureAwait(false);
            }
        }
    }

    private static async Task CopyAsync(PipeReader from, ITransportConnection to)
    {
        while (true)
        {
            var read = await from.ReadAsync().ConfigureAwait(false);
            foreach (var segment in read.Buffer)
            {
                to.Output.Write(segment.Span);
            }

            from.AdvanceTo(read.Buffer.End);
            var flush = await to.Output.FlushAsync().ConfigureAwait(false);
            if (read.IsCompleted || flush.IsCompleted)
            {
                to.Abort();
                return;
            }
        }
    }
}
