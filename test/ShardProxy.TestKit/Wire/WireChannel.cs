using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace ShardProxy.TestKit.Wire;

/// <summary>A socket that reads and writes whole messages, each read with a deadline. Plain: shares nothing with the product.</summary>
internal sealed class WireChannel : IDisposable
{
    private const int MaximumMessageBytes = 256 << 20;

    private readonly Socket _socket;
    private Stream _stream;

    public WireChannel(Socket socket, TimeSpan deadline)
    {
        _socket = socket;
        _socket.NoDelay = true;
        _stream = new NetworkStream(socket, ownsSocket: true);
        Deadline = deadline;
    }

    /// <summary>How long one read may take.</summary>
    public TimeSpan Deadline { get; set; }

    public EndPoint? LocalEndPoint => _socket.LocalEndPoint;

    /// <summary>Encrypts everything from here on; the handshake has the reads' deadline.</summary>
    public async Task<SslStream> SecureAsync(SslClientAuthenticationOptions options, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(Deadline);
        var tls = new SslStream(_stream);
        _stream = tls;
        await tls.AuthenticateAsClientAsync(options, deadline.Token);
        return tls;
    }

    public async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => await _stream.WriteAsync(bytes, cancellationToken);

    /// <summary>Reads one message; null at the end of the stream or after a reset. A message cut short throws.</summary>
    public async Task<WireMessage?> ReadMessageAsync(bool hasType, CancellationToken cancellationToken)
    {
        var type = '\0';
        if (hasType)
        {
            if (await ReadByteAsync(cancellationToken) is not { } first)
            {
                return null;
            }

            type = (char)first;
        }

        var header = new byte[4];
        if (!await ReadExactlyAsync(header, mayEnd: !hasType, cancellationToken))
        {
            return null;
        }

        var length = BinaryPrimitives.ReadInt32BigEndian(header);
        if (length is < 4 or > MaximumMessageBytes)
        {
            throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture, $"message '{type}' claims a length of {length}"));
        }

        var body = new byte[length - 4];
        await ReadExactlyAsync(body, mayEnd: false, cancellationToken);
        return new WireMessage(type, body);
    }

    /// <summary>Reads one byte; null at the end of the stream or after a reset.</summary>
    public async Task<byte?> ReadByteAsync(CancellationToken cancellationToken)
    {
        var one = new byte[1];
        return await ReadExactlyAsync(one, mayEnd: true, cancellationToken) ? one[0] : null;
    }

    /// <summary>Sends a FIN and goes on reading.</summary>
    public void CloseWriting() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>Closes with a reset instead of a FIN.</summary>
    public void Reset()
    {
        try
        {
            _socket.LingerState = new LingerOption(enable: true, seconds: 0);
        }
        catch (ObjectDisposedException)
        {
            // Closed already, by the other side's leaving or by the stop.
        }

        Dispose();
    }

    public void Dispose() => _stream.Dispose();

    /// <summary>Fills the buffer; false when the stream ended before its first byte and that is allowed.</summary>
    private async Task<bool> ReadExactlyAsync(byte[] buffer, bool mayEnd, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(Deadline);
        var read = 0;
        try
        {
            while (read < buffer.Length)
            {
                var count = await _stream.ReadAsync(buffer.AsMemory(read), deadline.Token);
                if (count == 0)
                {
                    break;
                }

                read += count;
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException(string.Create(CultureInfo.InvariantCulture, $"nothing to read within {Deadline.TotalSeconds:0.#} s ({read} of {buffer.Length} bytes were there)"));
        }
        catch (IOException error) when (error.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.ConnectionAborted })
        {
            // A reset counts as an end here: tests about closing accept both.
        }

        if (read == buffer.Length)
        {
            return true;
        }

        return read == 0 && mayEnd ? false : throw new EndOfStreamException(string.Create(CultureInfo.InvariantCulture, $"the stream ended inside a message ({read} of {buffer.Length} bytes)"));
    }
}
