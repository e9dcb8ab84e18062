using System.Buffers;
using System.Buffers.Binary;
using System.Security.Authentication;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;
using ShardProxy.Wire.Tls;

namespace ShardProxy.DataPath.Login;

/// <summary>
/// What comes before the start-up packet (PostgreSQL documentation, "Message Flow": "SSL Session Encryption"): requests for encryption, by
/// packet or by a TLS hello as the very first bytes. Bounded in bytes and, by the caller's token, in time.
/// </summary>
internal sealed class ClientGreeting(TlsCertificates? initial)
{
    private const byte TlsHandshakeRecord = 0x16;

    // The first four of the five bytes of a Terminate message.
    private const int TerminateStart = FrontendTag.Terminate << 24;

    private volatile TlsCertificates? _certificates = initial;

    /// <summary>What new connections are shown; null when they are not offered encryption.</summary>
    public TlsCertificates? Certificates
    {
        get => _certificates;
        set => _certificates = value;
    }

    /// <summary>Reads up to the first packet that asks for no encryption; on the way the channel may become an encrypted one.</summary>
    public async ValueTask<StartupRequest> ReadStartupAsync(ClientChannel channel, CancellationToken cancellationToken)
    {
        // The same for the whole of the greeting, whatever is read again meanwhile.
        var certificates = _certificates;

        // Each kind of encryption may be asked for once, as libpq does.
        for (var round = 0; round < 3; round++)
        {
            var packet = await ReadPacketAsync(channel, certificates is not null, isFirst: round == 0, cancellationToken).ConfigureAwait(false);
            if (packet is null)
            {
                await SecureAsync(channel, certificates!, isDirect: true, cancellationToken).ConfigureAwait(false);
                continue;
            }

            var request = StartupRequest.Read(packet);
            switch (request.Kind)
            {
                case StartupKind.Ssl when certificates is not null && channel.Tls is null:
                    await AnswerAsync(channel, (byte)'S', cancellationToken).ConfigureAwait(false);
                    await SecureAsync(channel, certificates, isDirect: false, cancellationToken).ConfigureAwait(false);
                    break;
                case StartupKind.Ssl or StartupKind.GssEncryption:
                    await AnswerAsync(channel, (byte)'N', cancellationToken).ConfigureAwait(false);
                    break;
                default:
                    return request;
            }
        }

        throw new ProtocolException("08P01", "too many encryption requests");
    }

    private static async ValueTask AnswerAsync(ClientChannel channel, byte answer, CancellationToken cancellationToken)
    {
        channel.Connection.Output.GetSpan(1)[0] = answer;
        channel.Connection.Output.Advance(1);
        await channel.Connection.Output.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask SecureAsync(ClientChannel channel, TlsCertificates certificates, bool isDirect, CancellationToken cancellationToken)
    {
        try
        {
            channel.Secure(await TlsConnection.AcceptAsync(channel.Connection, certificates.Current, cancellationToken).ConfigureAwait(false));
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
            // TLS has told the client why, as far as it has words for it.
            throw new ClientGoneException();
        }

        if (isDirect && channel.Tls is { HasNegotiatedProtocol: false })
        {
            // Without it, a client of another protocol could be made to talk to this one (ALPACA).
            throw new ProtocolException("08P01", "received direct SSL connection request without ALPN protocol negotiation extension");
        }
    }

    /// <summary>A packet without its length word; null when the client begins with a TLS hello instead.</summary>
    private static async ValueTask<byte[]?> ReadPacketAsync(ClientChannel channel, bool mayEncrypt, bool isFirst, CancellationToken cancellationToken)
    {
        var input = channel.Connection.Input;
        while (true)
        {
            var result = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            var buffer = result.Buffer;
            if (isFirst && mayEncrypt && !buffer.IsEmpty && buffer.FirstSpan[0] == TlsHandshakeRecord)
            {
                input.AdvanceTo(buffer.Start);
                return null;
            }

            if (buffer.Length >= 4)
            {
                var length = ReadLength(buffer);
                if (length == TerminateStart)
                {
                    // A client that has changed its mind says Terminate here too; PostgreSQL closes without a word.
                    throw new ClientGoneException();
                }

                if (length < 8 || length > StartupRequest.MaxBytes)
                {
                    throw new ProtocolException("08P01", "invalid length of startup packet");
                }

                if (buffer.Length >= length)
                {
                    var payload = buffer.Slice(4, length - 4).ToArray();
                    var isRequest = BinaryPrimitives.ReadInt32BigEndian(payload) == StartupRequest.SslCode;
                    var hasMore = buffer.Length > length;
                    input.AdvanceTo(buffer.GetPosition(length));

                    // Whatever came in clear behind the request could have been put there by somebody in between, to be taken for the client's
                    // own once the connection is encrypted (CVE-2021-23214).
                    return isRequest && hasMore && channel.Tls is null && mayEncrypt
                        ? throw new ProtocolException("08P01", "received unencrypted data after SSL request")
                        : payload;
                }
            }

            input.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                throw new ClientGoneException();
            }
        }
    }

    private static int ReadLength(in ReadOnlySequence<byte> buffer)
    {
        Span<byte> bytes = stackalloc byte[4];
        buffer.Slice(0, 4).CopyTo(bytes);
        return BinaryPrimitives.ReadInt32BigEndian(bytes);
    }
}
