using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ShardProxy.Wire.Tls;

/// <summary>Whether a certificate leads to an authority of ours, and to no other: the system's authorities do not count.</summary>
internal static class CertificateTrust
{
    public static readonly Oid ClientUsage = new("1.3.6.1.5.5.7.3.2");

    public static readonly Oid ServerUsage = new("1.3.6.1.5.5.7.3.1");

    /// <summary>True when the chain is whole, in time and for that use. Revocation is not looked up: it would wait for the network.</summary>
    public static bool IsIssuedBy(X509Certificate2 certificate, X509Certificate2Collection authorities, X509Certificate2Collection sent, Oid usage)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.ExtraStore.AddRange(sent);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(usage);
        return chain.Build(certificate);
    }
}
