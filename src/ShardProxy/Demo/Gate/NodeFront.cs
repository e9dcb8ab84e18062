using System.Net;
using System.Net.Sockets;

namespace ShardProxy.Demo.Gate;

/// <summary>
/// A relay on loopback before one node that lets statements through a <see cref="TokenGate"/> and everything else at once. It stands
/// where a network would be: neither the proxy nor the server knows of it.
/// </summary>
internal sealed class NodeFront : IAsyncDisposable
{
    private const int BufferBytes = 32 * 1024;

    private readonly CancellationTokenSource _stop = new();
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly HashSet<Task> _relays = [];
    private readonly Lock _lock = new();
    private readonly IPEndPoint _server;
    private readonly Task _accepting;

    /// <summary>Listens on a free port and relays to the server.</summary>
    public NodeFront(string name, string serverHost, int serverPort, TimeProvider time)
    {
        Name = name;
        Gate = new TokenGate(time);
        _server = new IPEndPoint(IPAddress.Parse(serverHost), serverPort);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(512);
        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        _accepting = AcceptAsync();
    }

    public string Name { get; }

    public string Host { get; } = IPAddress.Loopback.ToString();

    public int Port { get; }

    public TokenGate Gate { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        Task[] left;
        lock (_lock)
        {
            left = [.. _relays];
        }

        await Task.WhenAll(left);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptAsync(_stop.Token).ConfigureAwait(false);
                var relay = RelayAsync(client);
                lock (_lock)
                {
                    _relays.RemoveWhere(r => r.IsCompleted);
                    _relays.Add(relay);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // Stopped.
        }
    }

    private async Task RelayAsync(Socket client)
    {
        await Task.Yield();
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using (client)
        {
            client.NoDelay = true;
            try
            {
                await server.ConnectAsync(_server, _stop.Token).ConfigureAwait(false);
                await Task.WhenAll(ForwardAsync(client, server, new StatementScanner()), ForwardAsync(server, client, null)).ConfigureAwait(false);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException or InvalidDataException)
            {
                // One side is gone: leaving the block closes the other.
            }
        }
    }

    private async Task ForwardAsync(Socket from, Socket to, StatementScanner? scanner)
    {
        var buffer = new byte[BufferBytes];
        try
        {
            int read;
            while ((read = await from.ReceiveAsync(buffer, SocketFlags.None, _stop.Token).ConfigureAwait(false)) > 0)
            {
                if (scanner is not null && scanner.Scan(buffer.AsSpan(0, read)) is var statements and > 0)
                {
                    await Gate.PassAsync(statements, _stop.Token).ConfigureAwait(false);
                }

                for (var sent = 0; sent < read;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, read - sent), SocketFlags.None, _stop.Token).ConfigureAwait(false);
                }
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch
        {
            // The other direction has to end too.
            from.Close();
            to.Close();
            throw;
        }
    }
}
