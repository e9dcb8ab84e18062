using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace ShardProxy.TestKit.Wire;

/// <summary>
/// Stands between a proxy and one of its nodes and can stop the traffic at an exact step. A step is a message of the data path that makes the server do
/// something: a query, an Execute, a Sync, the end of a COPY. Several relays share one <see cref="StepTrap"/>.
/// </summary>
public sealed class StatementRelay : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly int _target;
    private readonly StepTrap _trap;
    private readonly byte[] _marker;
    private readonly Lock _lock = new();
    private readonly List<Socket> _sockets = [];

    /// <param name="target">Port of the server on loopback.</param>
    /// <param name="trap">Counts and stops.</param>
    /// <param name="applicationName">Only connections that log in with it have steps; all others pass.</param>
    public StatementRelay(int target, StepTrap trap, string applicationName)
    {
        _target = target;
        _trap = trap;
        _marker = Encoding.UTF8.GetBytes($"application_name\0{applicationName}\0");
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(128);
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    /// <summary>Ends every connection, as when the process at the other end dies. New ones are taken.</summary>
    public void CutAll()
    {
        lock (_lock)
        {
            foreach (var socket in _sockets)
            {
                socket.Dispose();
            }

            _sockets.Clear();
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        CutAll();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                var client = await _listener.AcceptAsync();
                var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                client.NoDelay = true;
                lock (_lock)
                {
                    _sockets.AddRange([client, server]);
                }

                await server.ConnectAsync(IPAddress.Loopback, _target);
                var state = new Connection();
                _ = ForwardAsync(client, server, state);
                _ = ReturnAsync(server, client, state);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                if (!_listener.IsBound || e is ObjectDisposedException)
                {
                    return;
                }
            }
        }
    }

    // Message by message, so that nothing behind the step at which the traffic stops reaches the server.
    private async Task ForwardAsync(Socket from, Socket to, Connection connection)
    {
        try
        {
            using var stream = new NetworkStream(from);
            var hasStarted = false;
            while (true)
            {
                var head = new byte[hasStarted ? 5 : 4];
                await stream.ReadExactlyAsync(head);
                var length = BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(hasStarted ? 1 : 0));
                var message = new byte[head.Length + length - 4];
                head.CopyTo(message, 0);
                await stream.ReadExactlyAsync(message.AsMemory(head.Length));
                if (!hasStarted)
                {
                    // Before its start-up message a client may ask for encryption, in eight bytes.
                    hasStarted = length > 8;
                    connection.HasSteps = message.AsSpan().IndexOf(_marker) >= 0;
                }
                else if (connection.HasSteps && _trap.Stops((char)message[0], connection))
                {
                    return;
                }

                await to.SendAsync(message);
            }
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            Close(from, to);
        }
    }

    private async Task ReturnAsync(Socket from, Socket to, Connection connection)
    {
        try
        {
            var buffer = new byte[64 << 10];
            while (await from.ReceiveAsync(buffer) is var count and > 0)
            {
                if (connection.HasSteps && _trap.Swallows(connection))
                {
                    continue;
                }

                await to.SendAsync(buffer.AsMemory(0, count));
            }

            Close(from, to);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Close(from, to);
        }
    }

    private static void Close(Socket a, Socket b)
    {
        a.Dispose();
        b.Dispose();
    }

    /// <summary>What a trap has to know of a connection.</summary>
    internal sealed class Connection
    {
        /// <summary>It is the data path's.</summary>
        public bool HasSteps { get; set; }
    }
}
