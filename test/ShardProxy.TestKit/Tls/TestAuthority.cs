using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ShardProxy.TestKit.Tls;

/// <summary>
/// A certificate authority made for one test, with a directory of PEM files: its own, and those of the certificates it issues. The directory
/// and everything in it go when it is disposed.
/// </summary>
public sealed class TestAuthority : IDisposable
{
    private static readonly Oid ServerUsage = new("1.3.6.1.5.5.7.3.1"), ClientUsage = new("1.3.6.1.5.5.7.3.2");

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _certificate;

    public TestAuthority(string name = "Test Authority")
    {
        Directory = System.IO.Directory.CreateTempSubdirectory("shardproxy-certificates-").FullName;
        var request = new CertificateRequest($"CN={name}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        _certificate = request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(30));
        CertificateFile = Path.Combine(Directory, "authority.crt");
        File.WriteAllText(CertificateFile, _certificate.ExportCertificatePem());
    }

    public string Directory { get; }

    /// <summary>The authority's own certificate, PEM.</summary>
    public string CertificateFile { get; }

    /// <summary>Issues a certificate for a server; writes <c>file.crt</c> and <c>file.key</c> over whatever is there.</summary>
    public TestCertificate IssueServer(string file = "server", string host = "localhost", HashAlgorithmName? signature = null)
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(host);
        if (host == "localhost")
        {
            names.AddIpAddress(IPAddress.Loopback);
        }

        return Issue(file, $"CN={host}", ServerUsage, names.Build(), signature ?? HashAlgorithmName.SHA256);
    }

    /// <summary>Issues a certificate for a client of that common name.</summary>
    public TestCertificate IssueClient(string commonName, string file = "client") => IssueSubject($"CN={commonName}", file);

    /// <summary>Issues a certificate for a client of that distinguished name.</summary>
    public TestCertificate IssueSubject(string subject, string file = "client") => Issue(file, subject, ClientUsage, null, HashAlgorithmName.SHA256);

    public void Dispose()
    {
        _certificate.Dispose();
        _key.Dispose();
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    private TestCertificate Issue(string file, string subject, Oid usage, X509Extension? names, HashAlgorithmName signature)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, signature);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([usage], critical: false));
        if (names is not null)
        {
            request.CertificateExtensions.Add(names);
        }

        using var certificate = request.Create(
            _certificate.SubjectName, X509SignatureGenerator.CreateForECDsa(_key), TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(10),
            RandomNumberGenerator.GetBytes(8));
        var path = Path.Combine(Directory, file);
        File.WriteAllText(path + ".crt", certificate.ExportCertificatePem());
        File.WriteAllText(path + ".key", key.ExportPkcs8PrivateKeyPem());
        if (!OperatingSystem.IsWindows())
        {
            // libpq refuses a key that others may read.
            File.SetUnixFileMode(path + ".key", UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        return new TestCertificate(path + ".crt", path + ".key", certificate.Thumbprint);
    }
}

/// <summary>Where an issued certificate is, and which one.</summary>
public sealed record TestCertificate(string CertificateFile, string KeyFile, string Thumbprint)
{
    /// <summary>Certificate and key together, as a client of .NET wants them.</summary>
    public X509Certificate2 Load()
    {
        using var pem = X509Certificate2.CreateFromPemFile(CertificateFile, KeyFile);
        return X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
    }
}
