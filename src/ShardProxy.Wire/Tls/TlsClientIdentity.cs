using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ShardProxy.Wire.Tls;

/// <summary>
/// How this side connects to servers with TLS: whom it believes, and what it shows of itself. Read from PEM files once; immutable.
/// </summary>
public sealed class TlsClientIdentity
{
    private readonly X509Certificate2Collection? _authorities;
    private readonly bool _checksName;
    private readonly X509Certificate2? _own;

    private TlsClientIdentity(X509Certificate2Collection? authorities, bool checksName, X509Certificate2? own)
    {
        _authorities = authorities;
        _checksName = checksName;
        _own = own;
    }

    /// <summary>Reads the files.</summary>
    /// <param name="authorityFile">Authorities the server's certificate has to lead to; null to believe any server.</param>
    /// <param name="checksName">The certificate also has to be made out to the host that is connected to.</param>
    /// <param name="certificateFile">This side's own certificate; null for none.</param>
    /// <param name="keyFile">Its key; null when it is in the same file.</param>
    /// <exception cref="CryptographicException">A file is not what it should be.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static TlsClientIdentity Load(string? authorityFile, bool checksName, string? certificateFile, string? keyFile)
    {
        X509Certificate2Collection? authorities = null;
        if (authorityFile is not null)
        {
            authorities = [];
            authorities.ImportFromPemFile(authorityFile);
            if (authorities.Count == 0)
            {
                throw new CryptographicException($"\"{authorityFile}\" holds no certificate in PEM format");
            }
        }

        return new TlsClientIdentity(authorities, checksName, certificateFile is null ? null : TlsServerIdentity.LoadPair(certificateFile, keyFile ?? certificateFile));
    }

    /// <summary>Options of one handshake with that host.</summary>
    public SslClientAuthenticationOptions For(string host) => new()
    {
        TargetHost = host,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ApplicationProtocols = [TlsConnection.Protocol],
        AllowRenegotiation = false,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        ClientCertificateContext = _own is null ? null : SslStreamCertificateContext.Create(_own, null, offline: true),
        RemoteCertificateValidationCallback = IsBelieved,
    };

    private bool IsBelieved(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (_authorities is null)
        {
            return certificate is not null;
        }

        return certificate is X509Certificate2 server
            && (!_checksName || (errors & SslPolicyErrors.RemoteCertificateNameMismatch) == 0)
            && CertificateTrust.IsIssuedBy(server, _authorities, chain?.ChainPolicy.ExtraStore ?? [], CertificateTrust.ServerUsage);
    }
}
