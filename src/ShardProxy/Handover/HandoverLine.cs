using System.Net.Sockets;
using System.Text;

namespace ShardProxy.Handover;

/// <summary>
/// One Unix socket between an old and a new process: the side that asks writes a line, the other answers with one. Asking may be done from
/// any thread; one question is under way at a time.
/// </summary>
internal sealed class HandoverLine(Socket socket) : IDisposable
{
    private const int MaximumBytes = 4096;
    private readonly SemaphoreSlim _asking = new(1, 1);
    private readonly byte[] _buffer = new byte[MaximumBytes];
    private int _filled;
    private volatile bool _isBroken;

    /// <summary>For passing a descriptor, between an answer and the next question.</summary>
    public Socket Socket => socket;

    /// <exception cref="SocketException">Nobody listens there.</exception>
    public static async Task<HandoverLine> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            return new HandoverLine(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>The next line, or null when the other side has gone.</summary>
    public async Task<string?> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                var end = Array.IndexOf(_buffer, (byte)'\n', 0, _filled);
                if (end >= 0)
                {
                    var line = Encoding.UTF8.GetString(_buffer, 0, end);
                    _filled -= end + 1;
                    Array.Copy(_buffer, end + 1, _buffer, 0, _filled);
                    return line;
                }

                var count = _filled == MaximumBytes ? 0 : await socket.ReceiveAsync(_buffer.AsMemory(_filled), cancellationToken);
                if (count == 0)
                {
                    return null;
                }

                _filled += count;
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return null;
        }
    }

    /// <summary>Writes a line; false when the other side has gone.</summary>
    public async Task<bool> WriteAsync(string line, CancellationToken cancellationToken)
    {
        try
        {
            await socket.SendAsync(Encoding.UTF8.GetBytes(line.ReplaceLineEndings(" ") + "\n"), cancellationToken);
            return true;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Asks and waits for the answer; null when none came, and then none ever will: the line is closed.</summary>
    public async Task<string?> AskAsync(string question, TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        await _asking.WaitAsync(cancellationToken);
        try
        {
            using var deadline = new CancellationTokenSource(limit, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
            var answer = !_isBroken && await WriteAsync(question, either.Token) ? await ReadAsync(either.Token) : null;
            if (answer is null)
            {
                Break();
            }

            return answer;
        }
        catch (OperationCanceledException)
        {
            // A late answer would be taken for the next question's.
            Break();
            return null;
        }
        finally
        {
            _asking.Release();
        }
    }

    // The semaphore stays: somebody may be waiting for it still.
    public void Dispose() => Break();

    private void Break()
    {
        _isBroken = true;
        socket.Dispose();
    }
}
