using System.Net;
using System.Net.Sockets;

namespace ShardProxy.TestKit.Wire;

/// <summary>
/// A wire between a client and a server on loopback that can be cut (connections end, new ones are refused), swallow (nothing gets through, nobody is told) and
/// delay what it carries, in both directions or only what the server answers.
/// </summary>
public sealed class FaultRelay : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly int _target;
    private readonly Lock _lock = new();
    private readonly HashSet<Socket> _sockets = [];
    private volatile bool _isCut;
    private volatile bool _swallowsAnswers;
    private long _delayMs;

    /// <param name="target">Port of the server on loopback.</param>
    public FaultRelay(int target)
    {
        _target = target;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(256);
        _ = AcceptAsync();
    }

    /// <summary>Where clients connect.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    /// <summary>Time that everything takes longer, in both directions.</summary>
    public TimeSpan Delay
    {
        get => TimeSpan.FromMilliseconds(Interlocked.Read(ref _delayMs));
        set => Interlocked.Exchange(ref _delayMs, (long)value.TotalMilliseconds);
    }

    /// <summary>What the server answers from now on is lost, and what it has not answered yet.</summary>
    public bool SwallowsAnswers
    {
        get => _swallowsAnswers;
        set => _swallowsAnswers = value;
    }

    /// <summary>Ends every connection; new ones end at once, until <see cref="Mend"/>.</summary>
    public void Cut()
    {
        _isCut = true;
        lock (_lock)
        {
            foreach (var socket in _sockets)
            {
                // A reset, as of a host that is not there any more.
                socket.LingerState = new LingerOption(true, 0);
                socket.Dispose();
            }

            _sockets.Clear();
        }
    }

    /// <summary>As it was at the start. Connections that were there when answers got lost do not get well: end them by <see cref="Cut"/> before.</summary>
    public void Mend()
    {
        _isCut = false;
        _swallowsAnswers = false;
        Delay = TimeSpan.Zero;
    }

    public void Dispose()
    {
        _listener.Dispose();
        Cut();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                var client = await _listener.AcceptAsync();
                _ = ConnectAsync(client);
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // That client has gone again; or the relay ends, which the next call tells.
                await Task.Yield();
            }
        }
    }

    private async Task ConnectAsync(Socket client)
    {
        var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.NoDelay = true;
        try
        {
            if (_isCut)
            {
                throw new SocketException((int)SocketError.ConnectionReset);
            }

            await server.ConnectAsync(IPAddress.Loopback, _target);
            lock (_lock)
            {
                if (_isCut)
                {
                    throw new SocketException((int)SocketError.ConnectionReset);
                }

                _sockets.Add(client);
                _sockets.Add(server);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Close(client, server);
            return;
        }

        _ = CarryAsync(client, server, isAnswer: false);
        _ = CarryAsync(server, client, isAnswer: true);
    }

    private async Task CarryAsync(Socket from, Socket to, bool isAnswer)
    {
        var buffer = new byte[64 << 10];
        try
        {
            while (await from.ReceiveAsync(buffer) is var count and > 0)
            {
                if (Delay is var delay && delay > TimeSpan.Zero)
                {
                    await Task.Delay(delay);
                }

                for (var sent = 0; sent < count && !(isAnswer && _swallowsAnswers);)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, count - sent));
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Either end has gone: both go.
        }

        if (!(isAnswer && _swallowsAnswers))
        {
            Close(from, to);
        }
    }

    private void Close(Socket a, Socket b)
    {
        lock (_lock)
        {
            _sockets.Remove(a);
            _sockets.Remove(b);
        }

        a.Dispose();
        b.Dispose();
    }
}
