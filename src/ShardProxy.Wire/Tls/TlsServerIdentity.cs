using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ShardProxy.Wire.Tls;

/// <summary>A certificate with its key, ready for handshakes. Immutable; connections made with it outlive its replacement.</summary>
public sealed class TlsServerIdentity
{
    private readonly X509Certificate2Collection? _clientAuthorities;

    [SuppressMessage("Security", "CA5359:Do Not Disable Certificate Validation", Justification = "Client certificates are judged by IsTrusted.")]
    private TlsServerIdentity(TlsServerOptions options, X509Certificate2Collection chain, X509Certificate2Collection? clientAuthorities)
    {
        _clientAuthorities = clientAuthorities;
        Certificate = chain[0];
        EndPointBinding = ChannelBinding.EndPoint(Certificate);
        var intermediates = new X509Certificate2Collection(chain.Skip(1).ToArray());
        Options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = SslStreamCertificateContext.Create(Certificate, intermediates, offline: true),
            EnabledSslProtocols = options.DemandsTls13 ? SslProtocols.Tls13 : SslProtocols.Tls12 | SslProtocols.Tls13,
            ApplicationProtocols = [TlsConnection.Protocol],
            AllowRenegotiation = false,

            // As PostgreSQL: every connection proves its certificate anew.
            AllowTlsResume = false,
            ClientCertificateRequired = clientAuthorities is not null,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,

            // Judged after the handshake, when there is a way to tell the client what is wrong with its certificate.
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
        };
    }

    /// <summary>The certificate clients see.</summary>
    public X509Certificate2 Certificate { get; }

    /// <summary>Its <c>tls-server-end-point</c>, or null.</summary>
    public byte[]? EndPointBinding { get; }

    /// <summary>Certificate, key and intermediates, for other servers that show the same.</summary>
    public SslStreamCertificateContext Context => Options.ServerCertificateContext!;

    internal SslServerAuthenticationOptions Options { get; }

    /// <summary>Reads the files.</summary>
    /// <exception cref="CryptographicException">A file is not what it should be, or key and certificate do not belong together.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static TlsServerIdentity Load(TlsServerOptions options)
    {
        var chain = new X509Certificate2Collection();
        chain.ImportFromPemFile(options.CertificateFile);
        if (chain.Count == 0)
        {
            throw new CryptographicException($"\"{options.CertificateFile}\" holds no certificate in PEM format");
        }

        chain[0] = LoadPair(options.CertificateFile, options.KeyFile);
        X509Certificate2Collection? authorities = null;
        if (options.ClientAuthorityFile is { } file)
        {
            authorities = [];
            authorities.ImportFromPemFile(file);
            if (authorities.Count == 0)
            {
                throw new CryptographicException($"\"{file}\" holds no certificate in PEM format");
            }
        }

        return new TlsServerIdentity(options, chain, authorities);
    }

    /// <summary>A certificate and its key.</summary>
    internal static X509Certificate2 LoadPair(string certificateFile, string keyFile)
    {
        try
        {
            return X509Certificate2.CreateFromPemFile(certificateFile, keyFile);
        }
        catch (ArgumentException)
        {
            throw new CryptographicException($"the key in \"{keyFile}\" does not belong to the certificate in \"{certificateFile}\"");
        }
        catch (CryptographicException e)
        {
            throw new CryptographicException($"\"{certificateFile}\" and \"{keyFile}\" hold no certificate and private key in PEM format without a passphrase: {e.Message}");
        }
    }

    /// <summary>A client's certificate leads to an authority of ours.</summary>
    internal bool IsTrusted(X509Certificate2 client) => _clientAuthorities is not null && CertificateTrust.IsIssuedBy(client, _clientAuthorities, [], CertificateTrust.ClientUsage);
}
