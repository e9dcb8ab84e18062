using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using ShardProxy.DataPath.Login;
using ShardProxy.DataPath.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Wire.Auth;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;
using ShardProxy.Wire.Tls;
using ShardProxy.Wire.Transport;

namespace ShardProxy.DataPath.Servers;

/// <summary>
/// Opens and logs in server connections (PostgreSQL documentation, "Message Flow": Start-up), as trust, SCRAM-SHA-256 or md5, and
/// sends cancel requests.
/// </summary>
internal sealed class ServerConnector(
    DataPathOptions options, ServerCredentials credentials, ServerEncryption encryption, ITransport transport, INodeAddress addresses, TimeProvider time)
{
    private const int MaxLoginPayloadBytes = 1 << 20;
    private const int ProtocolVersion = 3 << 16;

    private readonly ScramKeyCache _scramKeys = new();
    private readonly ReportedParameters _parameters = ReportedParameters.NewFamily();

    /// <summary>Opens a connection that has answered its first ReadyForQuery.</summary>
    /// <exception cref="ServerUnavailableException">With the server's own error where it gave one.</exception>
    public ValueTask<ServerConnection> ConnectAsync(Node node, PoolKey key, CancellationToken cancellationToken) =>
        ConnectAsync(node, key, credentials.Of(key.User), cancellationToken);

    /// <summary>The same with a credential of the caller's.</summary>
    public async ValueTask<ServerConnection> ConnectAsync(Node node, PoolKey key, ServerCredential credential, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var timer = time.CreateTimer(static s => ((CancellationTokenSource)s!).Cancel(), deadline, options.ServerConnectTimeout, Timeout.InfiniteTimeSpan);
        ITransportConnection? connection = null;
        try
        {
            connection = await transport.ConnectAsync(await addresses.ResolveAsync(node, deadline.Token).ConfigureAwait(false), deadline.Token).ConfigureAwait(false);
            connection = await encryption.SecureAsync(connection, node, onlyIfDemanded: false, deadline.Token).ConfigureAwait(false);
            var server = await LoginAsync(connection, node, key, credential, deadline.Token).ConfigureAwait(false);
            await NodeEntry.EnterAsync(server, options, deadline.Token).ConfigureAwait(false);
            return server;
        }
        catch (Exception e) when (e is not ServerUnavailableException)
        {
            await CloseAsync(connection).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            var reason = e switch
            {
                OperationCanceledException => string.Create(CultureInfo.InvariantCulture, $"No answer within {options.ServerConnectTimeout.TotalSeconds:0.#} s."),
                SocketException s => $"The operating system says: {s.SocketErrorCode}.",
                EndOfStreamException => "The server closed the connection during login.",
                _ => $"{e.GetType().Name}.",
            };
            throw new ServerUnavailableException(PoolErrors.Unreachable(node.Name, reason));
        }
        catch
        {
            await CloseAsync(connection).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// Sends a cancel request for a server process and waits until the server has taken it (it closes the connection then). Failures
    /// are swallowed: a cancel is a request.
    /// </summary>
    public async ValueTask CancelAsync(Node node, int processId, int secret)
    {
        using var deadline = new CancellationTokenSource(options.ServerConnectTimeout, time);
        ITransportConnection? connection = null;
        try
        {
            connection = await transport.ConnectAsync(await addresses.ResolveAsync(node, deadline.Token).ConfigureAwait(false), deadline.Token).ConfigureAwait(false);
            connection = await encryption.SecureAsync(connection, node, onlyIfDemanded: true, deadline.Token).ConfigureAwait(false);
            var output = connection.Output;
            MessageWriter.Int32(output, 16);
            MessageWriter.Int32(output, 80877102);
            MessageWriter.Int32(output, processId);
            MessageWriter.Int32(output, secret);
            await output.FlushAsync(deadline.Token).ConfigureAwait(false);
            var result = await connection.Input.ReadAsync(deadline.Token).ConfigureAwait(false);
            connection.Input.AdvanceTo(result.Buffer.End);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or InvalidOperationException or ServerUnavailableException)
        {
            // The statement goes on; the client may ask again.
        }
        finally
        {
            await CloseAsync(connection).ConfigureAwait(false);
        }
    }

    private static async ValueTask CloseAsync(ITransportConnection? connection)
    {
        if (connection is null)
        {
            return;
        }

        connection.Abort();
        try
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // It is being given up.
        }
    }

    private async ValueTask<ServerConnection> LoginAsync(ITransportConnection connection, Node node, PoolKey key, ServerCredential credential, CancellationToken cancellationToken)
    {
        WriteStartup(connection, key);
        await connection.Output.FlushAsync(cancellationToken).ConfigureAwait(false);
        var parameters = _parameters;
        ScramClient? scram = null;
        int processId = 0, secret = 0;
        while (true)
        {
            var (tag, payload) = await FrameIo.ReadAsync(connection.Input, MaxLoginPayloadBytes, cancellationToken).ConfigureAwait(false);
            switch (tag)
            {
                case BackendTag.Authentication:
                    scram = Answer(connection, node, key, credential, payload, scram);
                    await connection.Output.FlushAsync(cancellationToken).ConfigureAwait(false);
                    break;
                case BackendTag.ParameterStatus:
                    parameters = parameters.With(payload);
                    break;
                case BackendTag.BackendKeyData:
                    processId = BinaryPrimitives.ReadInt32BigEndian(payload);
                    secret = BinaryPrimitives.ReadInt32BigEndian(payload.AsSpan(4));
                    break;
                case BackendTag.NoticeResponse or BackendTag.NegotiateProtocolVersion:
                    break;
                case BackendTag.ErrorResponse:
                    await CloseAsync(connection).ConfigureAwait(false);
                    throw new ServerUnavailableException(payload);
                case BackendTag.ReadyForQuery:
                    return new ServerConnection(connection, node, key, processId, secret, parameters, time.GetTimestamp())
                    {
                        Statements = new ServerStatements(options.MaxPreparedBytesPerServer),
                    };
                default:
                    throw new ProtocolException("08P01", "a server broke the login protocol");
            }
        }
    }

    private ScramClient? Answer(ITransportConnection connection, Node node, PoolKey key, ServerCredential credential, byte[] payload, ScramClient? scram)
    {
        var kind = BinaryPrimitives.ReadInt32BigEndian(payload);
        var data = payload.AsSpan(4);
        if (kind == 0)
        {
            // A server that skips its half of the proof may be an impostor.
            if (scram is { IsServerAuthenticated: false })
            {
                throw new ServerUnavailableException(PoolErrors.LoginFailed(node.Name, "The server ended the SCRAM exchange without proving itself."));
            }

            return scram;
        }

        var tls = connection as TlsConnection;
        switch (kind)
        {
            case 3 when tls is not null && credential.Password is { } password:
                MessageWriter.CString(connection.Output, FrontendTag.Password, password);
                return null;
            case 5 when credential.Password is not null || credential.Md5Hash is not null:
                var hash = credential.Password is null ? credential.Md5Hash! : Md5Password.Hash(key.User, credential.Password);
                MessageWriter.CString(connection.Output, FrontendTag.Password, Md5Password.RespondHash(hash, data));
                return null;
            case 10 when Mechanisms(data) is var offered && offered.Contains(ScramServer.Mechanism) && (credential.Password is not null || credential.Keys.Count > 0):
                var isPlus = tls?.EndPointBinding is not null && offered.Contains(ScramServer.PlusMechanism);
                var mechanism = isPlus ? ScramServer.PlusMechanism : ScramServer.Mechanism;
                scram = new ScramClient(credential.Password, credential.Keys, _scramKeys, tls?.EndPointBinding, isPlus);
                var first = scram.ClientFirst();
                MessageWriter.Header(connection.Output, FrontendTag.Password, mechanism.Length + 1 + 4 + first.Length);
                MessageWriter.Text(connection.Output, mechanism);
                MessageWriter.Int32(connection.Output, first.Length);
                System.Buffers.BuffersExtensions.Write(connection.Output, first);
                return scram;
            case 11 when scram is not null:
                MessageWriter.Raw(connection.Output, FrontendTag.Password, Checked(node, key, scram.ReceiveServerFirst(data)));
                return scram;
            case 12 when scram is not null:
                Checked(node, key, scram.ReceiveServerFinal(data));
                return scram;
            case 3 or 5 or 10 when credential.IsEmpty || kind != 3:
                throw new ServerUnavailableException(PoolErrors.NoCredential(node.Name, key.User, "The server asks for a password and nothing fitting is known."));
            default:
                throw new ServerUnavailableException(PoolErrors.LoginFailed(node.Name, "The server asks for an authentication method the proxy does not speak; use scram-sha-256, md5 or trust."));
        }
    }

    private static byte[] Checked(Node node, PoolKey key, ScramStep step) =>
        step.IsOk ? step.Reply
        : step.Failure == ScramFailure.NoFittingKeys ? throw new ServerUnavailableException(PoolErrors.NoCredential(node.Name, key.User, step.Detail!))
        : throw new ServerUnavailableException(PoolErrors.LoginFailed(node.Name, step.Detail ?? "The SCRAM exchange failed."));

    private static string[] Mechanisms(ReadOnlySpan<byte> list) => Encoding.ASCII.GetString(list).Split('\0', StringSplitOptions.RemoveEmptyEntries);

    private void WriteStartup(ITransportConnection connection, PoolKey key)
    {
        (string Name, string Value)[] parameters =
        [
            ("user", key.User),
            ("database", key.Database),
            ("application_name", $"shardproxy/{options.ProxyId}"),
            ("client_encoding", "UTF8"),

            // What a client that has set it finds with SHOW is what everybody else finds, too.
            (ReadStaleness.Name, ReadStaleness.Default),
        ];
        var size = 4 + 4 + 1 + parameters.Sum(p => Encoding.UTF8.GetByteCount(p.Name) + Encoding.UTF8.GetByteCount(p.Value) + 2);
        MessageWriter.Int32(connection.Output, size);
        MessageWriter.Int32(connection.Output, ProtocolVersion);
        foreach (var (name, value) in parameters)
        {
            MessageWriter.Text(connection.Output, name);
            MessageWriter.Text(connection.Output, value);
        }

        connection.Output.GetSpan(1)[0] = 0;
        connection.Output.Advance(1);
    }
}
