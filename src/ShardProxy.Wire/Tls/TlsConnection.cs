using System.IO.Pipelines;
using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Wire.Tls;

/// <summary>
/// TLS over any other connection, itself a connection: what is above does not know the difference. Owns the connection below.
/// </summary>
/// <remarks>Unlike a plain connection it takes no more from the peer than its reader asks for.</remarks>
public sealed class TlsConnection : ITransportConnection
{
    /// <summary>The protocol's name in ALPN (PostgreSQL documentation, "SSL Session Encryption").</summary>
    public static readonly SslApplicationProtocol Protocol = new("postgresql");

    private readonly ITransportConnection _inner;
    private readonly TransportStream _stream;
    private readonly SslStream _tls;
    private readonly TlsInput _input;
    private int _isDisposed;

    private TlsConnection(ITransportConnection inner)
    {
        _inner = inner;
        _stream = new TransportStream(inner);
        _tls = new SslStream(_stream, leaveInnerStreamOpen: true);
        _input = new TlsInput(_tls);
        Output = new TlsOutput(_tls, _stream);
    }

    public PipeReader Input => _input;

    public PipeWriter Output { get; }

    public EndPoint? RemoteEndPoint => _inner.RemoteEndPoint;

    public CancellationToken Closed => _inner.Closed;

    public bool IsClosed => _inner.IsClosed;

    /// <summary>Protocol version and cipher, for logs: <c>Tls13 TLS_AES_256_GCM_SHA384</c>.</summary>
    public string Description => $"{_tls.SslProtocol} {_tls.NegotiatedCipherSuite}";

    /// <summary>The peer agreed by ALPN to speak PostgreSQL's protocol.</summary>
    public bool HasNegotiatedProtocol => _tls.NegotiatedApplicationProtocol == Protocol;

    /// <summary>The peer's certificate; null when it sent none. Owned by the connection.</summary>
    public X509Certificate2? PeerCertificate => _tls.RemoteCertificate as X509Certificate2;

    /// <summary>The peer has sent a certificate that leads to none of the authorities: whoever it is, it is not to be talked to.</summary>
    public bool HasUntrustedPeer { get; private set; }

    /// <summary>
    /// <c>tls-server-end-point</c> of the server's certificate (RFC 5929), for SCRAM-SHA-256-PLUS; null when the certificate's
    /// signature names no hash.
    /// </summary>
    public byte[]? EndPointBinding { get; private set; }

    /// <summary>
    /// The server's handshake. On failure the connection below is still the caller's. A client whose certificate is no good is let through
    /// to be told so: see <see cref="HasUntrustedPeer"/>.
    /// </summary>
    /// <exception cref="AuthenticationException">The two do not agree.</exception>
    /// <exception cref="IOException">The client left or spoke something else.</exception>
    public static async ValueTask<TlsConnection> AcceptAsync(ITransportConnection inner, TlsServerIdentity identity, CancellationToken cancellationToken)
    {
        var connection = await ShakeHandsAsync(
            inner, (tls, ct) => tls.AuthenticateAsServerAsync(identity.Options, ct), _ => identity.EndPointBinding, cancellationToken).ConfigureAwait(false);
        connection.HasUntrustedPeer = connection.PeerCertificate is { } certificate && !identity.IsTrusted(certificate);
        return connection;
    }

    /// <summary>The client's handshake. On failure the connection below is still the caller's.</summary>
    /// <exception cref="AuthenticationException">The two do not agree, or the server's certificate is not accepted.</exception>
    /// <exception cref="IOException">The server left or spoke something else.</exception>
    public static ValueTask<TlsConnection> ConnectAsync(ITransportConnection inner, SslClientAuthenticationOptions options, CancellationToken cancellationToken) =>
        ShakeHandsAsync(
            inner,
            (tls, ct) => tls.AuthenticateAsClientAsync(options, ct),
            tls => tls.RemoteCertificate is X509Certificate2 certificate ? ChannelBinding.EndPoint(certificate) : null,
            cancellationToken);

    public void Abort()
    {
        _input.IsAborted = true;
        _inner.Abort();
    }

    /// <summary>Says goodbye (close_notify) without waiting for an answer, sends what was flushed, closes.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        try
        {
            if (!_inner.IsClosed)
            {
                _stream.IsClosing = true;
                await _tls.ShutdownAsync().ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or NotSupportedException or AuthenticationException or OperationCanceledException)
        {
            // A write is under way or the peer is gone: it learns of the end by the socket.
        }

        await _tls.DisposeAsync().ConfigureAwait(false);
        await _inner.DisposeAsync().ConfigureAwait(false);
    }

    private static async ValueTask<TlsConnection> ShakeHandsAsync(
        ITransportConnection inner, Func<SslStream, CancellationToken, Task> handshake, Func<SslStream, byte[]?> binding, CancellationToken cancellationToken)
    {
        var connection = new TlsConnection(inner);
        try
        {
            connection._stream.IsHandshaking = true;
            await handshake(connection._tls, cancellationToken).ConfigureAwait(false);
            connection._stream.IsHandshaking = false;
            connection.EndPointBinding = binding(connection._tls);
            return connection;
        }
        catch
        {
            await connection._tls.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
