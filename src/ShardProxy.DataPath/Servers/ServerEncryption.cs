using System.Security.Authentication;
using System.Security.Cryptography;
using ShardProxy.Model.Topology;
using ShardProxy.Wire.Messages;
using ShardProxy.Wire.Tls;
using ShardProxy.Wire.Transport;

namespace ShardProxy.DataPath.Servers;

/// <summary>
/// Encrypts connections to nodes (PostgreSQL documentation, "Message Flow": "SSL Session Encryption"), each node as far as its settings
/// say. Thread-safe.
/// </summary>
internal sealed class ServerEncryption
{
    private readonly IReadOnlyDictionary<string, NodeTls> _settings;
    private volatile Dictionary<string, TlsClientIdentity> _identities;

    /// <exception cref="CryptographicException">A file is not what it should be.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public ServerEncryption(IReadOnlyDictionary<string, NodeTls> settings)
    {
        _settings = settings;
        _identities = Load();
    }

    /// <summary>Reads the files again. Returns null, or why those before stay in use.</summary>
    public string? Reload()
    {
        try
        {
            _identities = Load();
            return null;
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            return e.Message;
        }
    }

    /// <summary>The connection to go on with: encrypted, or the same.</summary>
    /// <param name="connection">Fresh; nothing has been sent. Still the caller's when this throws.</param>
    /// <param name="node">The node.</param>
    /// <param name="onlyIfDemanded">Where encryption is only preferred, leave it.</param>
    /// <param name="cancellationToken">The caller's deadline.</param>
    /// <exception cref="ServerUnavailableException">The node does not encrypt, or is not who it should be.</exception>
    public async ValueTask<ITransportConnection> SecureAsync(ITransportConnection connection, Node node, bool onlyIfDemanded, CancellationToken cancellationToken)
    {
        if (_settings.GetValueOrDefault(node.Name) is not { } settings || settings.Mode <= (onlyIfDemanded ? NodeTlsMode.Prefer : NodeTlsMode.Disable))
        {
            return connection;
        }

        MessageWriter.Int32(connection.Output, 8);
        MessageWriter.Int32(connection.Output, StartupRequest.SslCode);
        await connection.Output.FlushAsync(cancellationToken).ConfigureAwait(false);
        switch (await AnswerAsync(connection, node, cancellationToken).ConfigureAwait(false))
        {
            case (byte)'S':
                break;
            case (byte)'N' when settings.Mode == NodeTlsMode.Prefer:
                return connection;
            default:
                throw new ServerUnavailableException(PoolErrors.NotEncrypted(node.Name, "The server does not offer encryption (ssl = on)."));
        }

        try
        {
            return await TlsConnection.ConnectAsync(connection, _identities[node.Name].For(node.Host), cancellationToken).ConfigureAwait(false);
        }
        catch (AuthenticationException e)
        {
            throw new ServerUnavailableException(PoolErrors.NotEncrypted(node.Name, settings.VerifiesAuthority ? "Its certificate is not accepted, or the handshake failed." : e.Message));
        }
    }

    /// <summary>One byte, and nothing behind it: more could have been put there by somebody in between (CVE-2021-23222).</summary>
    private static async ValueTask<byte> AnswerAsync(ITransportConnection connection, Node node, CancellationToken cancellationToken)
    {
        while (true)
        {
            var result = await connection.Input.ReadAsync(cancellationToken).ConfigureAwait(false);
            var buffer = result.Buffer;
            if (!buffer.IsEmpty)
            {
                var answer = buffer.FirstSpan[0];
                var isAlone = buffer.Length == 1;
                connection.Input.AdvanceTo(buffer.GetPosition(1));
                return isAlone || answer != (byte)'S'
                    ? answer
                    : throw new ServerUnavailableException(PoolErrors.NotEncrypted(node.Name, "Received unencrypted data after the answer to the SSL request."));
            }

            connection.Input.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                throw new EndOfStreamException("the server closed the connection");
            }
        }
    }

    private Dictionary<string, TlsClientIdentity> Load() => _settings.Where(s => s.Value.Mode != NodeTlsMode.Disable).ToDictionary(
        s => s.Key,
        s => TlsClientIdentity.Load(
            s.Value.VerifiesAuthority ? s.Value.RootCertificateFile : null, s.Value.Mode == NodeTlsMode.VerifyFull, s.Value.CertificateFile, s.Value.KeyFile),
        StringComparer.Ordinal);
}
