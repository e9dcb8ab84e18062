using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using ShardProxy.Wire.Auth;

namespace ShardProxy.PgBench;

/// <summary>
/// One client on a plain socket, so that a single process can hold ten thousand: logs in (trust or SCRAM-SHA-256) and runs simple queries. One call at
/// a time.
/// </summary>
internal sealed class PlainClient : IDisposable
{
    // One source address has 28,000 ports to one destination.
    private const int ClientsPerAddress = 20_000;

    // A busy machine may take its time; a client that was dropped ends at once.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    // Keys are derived once for all clients: what a login costs its client is not what is measured.
    private static readonly ScramKeyCache Keys = new();

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    private PlainClient()
    {
    }

    /// <summary>Connects and logs in as the bench's user; <paramref name="number"/> is the client's own, from 0.</summary>
    /// <exception cref="InvalidOperationException">Refused, with the server's words.</exception>
    public static async Task<PlainClient> ConnectAsync(int port, int number, CancellationToken cancellationToken)
    {
        var client = new PlainClient();
        try
        {
            if (number >= ClientsPerAddress)
            {
                client._socket.Bind(new IPEndPoint(new IPAddress([127, 0, 0, (byte)(1 + (number / ClientsPerAddress))]), 0));
            }

            await client._socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), cancellationToken);
            await client.LoginAsync(cancellationToken);
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    /// <summary>Runs one statement and reads up to ReadyForQuery.</summary>
    /// <exception cref="InvalidOperationException">It failed, with the server's words.</exception>
    public async Task QueryAsync(string sql, CancellationToken cancellationToken)
    {
        await SendAsync((byte)'Q', Encoding.UTF8.GetBytes(sql + "\0"), cancellationToken);
        await UntilReadyAsync(cancellationToken);
    }

    /// <summary>Runs one query and counts its rows, without keeping any; reads little by little for as long as <paramref name="slow"/>, then all that comes.</summary>
    /// <exception cref="InvalidOperationException">It failed, or the connection was closed.</exception>
    public async Task<long> CountRowsAsync(string sql, TimeSpan slow, CancellationToken cancellationToken)
    {
        const int SlowBytes = 16 * 1024;
        await SendAsync((byte)'Q', Encoding.UTF8.GetBytes(sql + "\0"), cancellationToken);
        var buffer = new byte[256 * 1024];
        var (filled, rows, skip, start) = (0, 0L, 0L, 0L);
        while (true)
        {
            var isSlow = start > 0 && Stopwatch.GetElapsedTime(start) < slow;
            if (isSlow)
            {
                await Task.Delay(10, cancellationToken);
            }

            var got = await _socket.ReceiveAsync(buffer.AsMemory(filled, isSlow ? Math.Min(SlowBytes, buffer.Length - filled) : buffer.Length - filled), cancellationToken);
            start = start > 0 ? start : Stopwatch.GetTimestamp();
            filled += got > 0 ? got : throw new InvalidOperationException("the connection was closed");
            var at = 0;
            while (true)
            {
                var skipped = (int)Math.Min(skip, filled - at);
                at += skipped;
                skip -= skipped;
                if (skip > 0 || filled - at < 5)
                {
                    break;
                }

                switch (buffer[at])
                {
                    case (byte)'D':
                        rows++;
                        break;
                    case (byte)'Z':
                        return rows;
                    case (byte)'E':
                        throw new InvalidOperationException(Words(buffer[(at + 5)..filled]));
                }

                skip = 1 + BinaryPrimitives.ReadInt32BigEndian(buffer.AsSpan(at + 1));
            }

            buffer.AsSpan(at, filled - at).CopyTo(buffer);
            filled -= at;
        }
    }

    public void Dispose() => _socket.Dispose();

    private async Task LoginAsync(CancellationToken cancellationToken)
    {
        var parameters = Encoding.UTF8.GetBytes($"\0\u0003\0\0user\0{Servers.User}\0database\0{Servers.Database}\0application_name\0bench\0\0");
        await SendAsync(null, parameters, cancellationToken);
        var scram = new ScramClient(Servers.Password, Keys);
        while (true)
        {
            var (tag, body) = await ReceiveAsync(cancellationToken);
            if (tag != (byte)'R')
            {
                throw new InvalidOperationException($"the login was answered with {(char)tag}: {Words(body)}");
            }

            switch (BinaryPrimitives.ReadInt32BigEndian(body))
            {
                case 0:
                    await UntilReadyAsync(cancellationToken);
                    return;
                case 10:
                    var first = scram.ClientFirst();
                    var length = new byte[4];
                    BinaryPrimitives.WriteInt32BigEndian(length, first.Length);
                    await SendAsync((byte)'p', [.. "SCRAM-SHA-256\0"u8, .. length, .. first], cancellationToken);
                    break;
                case 11:
                    await SendAsync((byte)'p', scram.ReceiveServerFirst(body.AsSpan(4)).Reply, cancellationToken);
                    break;
                case 12:
                    scram.ReceiveServerFinal(body.AsSpan(4));
                    break;
                default:
                    throw new InvalidOperationException("the server asks for a login this client does not know");
            }
        }
    }

    private async Task UntilReadyAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var (tag, body) = await ReceiveAsync(cancellationToken);
            switch (tag)
            {
                case (byte)'Z':
                    return;
                case (byte)'E':
                    throw new InvalidOperationException(Words(body));
            }
        }
    }

    private async Task SendAsync(byte? tag, byte[] body, CancellationToken cancellationToken)
    {
        var length = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, body.Length + 4);
        byte[] message = tag is { } known ? [known, .. length, .. body] : [.. length, .. body];
        for (var sent = 0; sent < message.Length;)
        {
            sent += await _socket.SendAsync(message.AsMemory(sent), cancellationToken);
        }
    }

    private async Task<(byte Tag, byte[] Body)> ReceiveAsync(CancellationToken cancellationToken)
    {
        var header = await ReceiveAsync(5, cancellationToken);
        return (header[0], await ReceiveAsync(BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(1)) - 4, cancellationToken));
    }

    private async Task<byte[]> ReceiveAsync(int count, CancellationToken cancellationToken)
    {
        var bytes = new byte[count];
        for (var got = 0; got < count;)
        {
            var more = await _socket.ReceiveAsync(bytes.AsMemory(got), cancellationToken).AsTask().WaitAsync(Patience, cancellationToken);
            got += more > 0 ? more : throw new InvalidOperationException("the connection was closed");
        }

        return bytes;
    }

    // ErrorResponse: fields of a letter and a text each; M is the message.
    private static string Words(byte[] body) =>
        Array.Find(Encoding.UTF8.GetString(body).Split('\0'), f => f.StartsWith('M')) is { } field ? field[1..] : "no words";
}
