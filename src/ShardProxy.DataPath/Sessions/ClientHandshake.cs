using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using ShardProxy.Model.Errors;
using ShardProxy.Wire.Auth;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;
using ShardProxy.Wire.Transport;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Who logged in and with what.</summary>
internal sealed record ClientIdentity(string User, bool IsAdmin, string Database, StartupRequest Startup);

/// <summary>
/// The start of a client connection (PostgreSQL documentation, "Message Flow": Start-up): encryption requests, cancel requests,
/// authentication. Everything here is bounded in bytes and, by the caller's token, in time.
/// </summary>
internal sealed class ClientHandshake(DataPathOptions options, IReadOnlyDictionary<string, LoginSecret> secrets, ScramMock mock)
{
    private const int SaslOk = 0;
    private const int SaslStart = 10;
    private const int SaslContinue = 11;
    private const int SaslFinal = 12;

    /// <summary>Reads the first packet that is neither an SSL nor a GSSAPI request; those are answered with N.</summary>
    public static async ValueTask<StartupRequest> ReadStartupAsync(ITransportConnection connection, CancellationToken cancellationToken)
    {
        // Each kind of encryption may be asked for once, as libpq does.
        for (var round = 0; round < 3; round++)
        {
            var request = StartupRequest.Read(await ReadPacketAsync(connection, cancellationToken).ConfigureAwait(false));
            if (request.Kind is not (StartupKind.Ssl or StartupKind.GssEncryption))
            {
                return request;
            }

            connection.Output.GetSpan(1)[0] = (byte)'N';
            connection.Output.Advance(1);
            await connection.Output.FlushAsync(cancellationToken).ConfigureAwait(false);
        }

        throw new ProtocolException("08P01", "too many encryption requests");
    }

    /// <summary>Authenticates; returns null when the client was refused (it has been told).</summary>
    public async ValueTask<ClientIdentity?> AuthenticateAsync(ITransportConnection connection, StartupRequest startup, CancellationToken cancellationToken)
    {
        var user = startup["user"];
        if (string.IsNullOrEmpty(user))
        {
            return Refuse(connection, LoginErrors.NoUser);
        }

        if (startup["replication"] is { } replication && replication is not ("false" or "off" or "no" or "0"))
        {
            return Refuse(connection, LoginErrors.ReplicationRefused);
        }

        if (startup.MinorVersion > 0 || startup.Parameters.Any(p => p.Key.StartsWith("_pq_.", StringComparison.Ordinal)))
        {
            WriteNegotiation(connection, startup);
        }

        var secret = secrets.GetValueOrDefault(user);
        if (options.Authentication == ClientAuthentication.ScramSha256)
        {
            var known = await ScramAsync(connection, secret?.Verifier, user, cancellationToken).ConfigureAwait(false);
            if (!known)
            {
                return Refuse(connection, LoginErrors.AuthenticationFailed(user));
            }
        }
        else if (secret is null)
        {
            return Refuse(connection, LoginErrors.AuthenticationFailed(user));
        }

        MessageWriter.Authentication(connection.Output, SaslOk);
        var database = startup["database"];
        return new ClientIdentity(user, secret!.IsAdmin, string.IsNullOrEmpty(database) ? user : database, startup);
    }

    private static ClientIdentity? Refuse(ITransportConnection connection, ShardProxyError error)
    {
        ClientReplies.Error(connection.Output, error, "FATAL");
        return null;
    }

    private static async ValueTask<byte[]> ReadPacketAsync(ITransportConnection connection, CancellationToken cancellationToken)
    {
        while (true)
        {
            var result = await connection.Input.ReadAsync(cancellationToken).ConfigureAwait(false);
            var buffer = result.Buffer;
            if (buffer.Length >= 4)
            {
                var length = ReadLength(buffer);
                if (length < 8 || length > StartupRequest.MaxBytes)
                {
                    throw new ProtocolException("08P01", "invalid length of startup packet");
                }

                if (buffer.Length >= length)
                {
                    var payload = buffer.Slice(4, length - 4).ToArray();
                    connection.Input.AdvanceTo(buffer.GetPosition(length));
                    return payload;
                }
            }

            connection.Input.AdvanceTo(buffer.Start, buffer.End);
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

    // PostgreSQL documentation, "Message Formats": NegotiateProtocolVersion.
    private static void WriteNegotiation(ITransportConnection connection, StartupRequest startup)
    {
        var unknown = startup.Parameters.Where(p => p.Key.StartsWith("_pq_.", StringComparison.Ordinal)).Select(p => p.Key).ToArray();
        MessageWriter.Header(connection.Output, BackendTag.NegotiateProtocolVersion, 8 + unknown.Sum(n => Encoding.UTF8.GetByteCount(n) + 1));
        MessageWriter.Int32(connection.Output, 0);
        MessageWriter.Int32(connection.Output, unknown.Length);
        foreach (var name in unknown)
        {
            MessageWriter.Text(connection.Output, name);
        }
    }

    private async ValueTask<bool> ScramAsync(ITransportConnection connection, ScramVerifier? verifier, string user, CancellationToken cancellationToken)
    {
        var scram = new ScramServer(verifier, mock.For(user));
        MessageWriter.Authentication(connection.Output, SaslStart, "SCRAM-SHA-256\0\0"u8);
        await connection.Output.FlushAsync(cancellationToken).ConfigureAwait(false);
        var payload = await ReadPasswordAsync(connection, cancellationToken).ConfigureAwait(false);
        var step = scram.ReceiveClientFirst(InitialResponse(payload));
        if (!step.IsOk)
        {
            return false;
        }

        MessageWriter.Authentication(connection.Output, SaslContinue, step.Reply);
        await connection.Output.FlushAsync(cancellationToken).ConfigureAwait(false);
        step = scram.ReceiveClientFinal(await ReadPasswordAsync(connection, cancellationToken).ConfigureAwait(false));
        if (!step.IsOk || !scram.IsAuthenticated)
        {
            return false;
        }

        MessageWriter.Authentication(connection.Output, SaslFinal, step.Reply);
        return true;
    }

    // SASLInitialResponse: mechanism, length, data.
    private static byte[] InitialResponse(byte[] payload)
    {
        var reader = new PayloadReader(payload);
        if (!reader.ReadCString().SequenceEqual("SCRAM-SHA-256"u8))
        {
            throw new ProtocolException("08P01", "client selected an invalid SASL authentication mechanism");
        }

        var length = reader.ReadInt32();
        var data = reader.ReadBytes(length).ToArray();
        reader.RequireEnd();
        return data;
    }

    private async ValueTask<byte[]> ReadPasswordAsync(ITransportConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            var (tag, payload) = await Servers.FrameIo.ReadAsync(connection.Input, options.MaxLoginMessageBytes, cancellationToken).ConfigureAwait(false);
            return tag == FrontendTag.Password ? payload : throw new ProtocolException("08P01", "expected SASL response");
        }
        catch (EndOfStreamException)
        {
            throw new ClientGoneException();
        }
    }
}
