using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ShardProxy.Wire.Tls;

/// <summary>
/// <c>tls-server-end-point</c> (RFC 5929 section 4.1): the server certificate's hash by the hash function of its signature, SHA-256 in
/// place of MD5 and SHA-1. Both ends know it without a message; a man in the middle with another certificate has another.
/// </summary>
internal static class ChannelBinding
{
    /// <summary>Null when the signature names no hash function (Ed25519), as PostgreSQL has none then.</summary>
    public static byte[]? EndPoint(X509Certificate2 certificate) => HashOf(certificate) is { } hash ? CryptographicOperations.HashData(hash, certificate.RawData) : null;

    private static HashAlgorithmName? HashOf(X509Certificate2 certificate) => certificate.SignatureAlgorithm.Value switch
    {
        "1.2.840.113549.1.1.4" or "1.2.840.113549.1.1.5" or "1.2.840.10045.4.1" or "1.2.840.10040.4.3" => HashAlgorithmName.SHA256,
        "1.2.840.113549.1.1.11" or "1.2.840.10045.4.3.2" => HashAlgorithmName.SHA256,
        "1.2.840.113549.1.1.12" or "1.2.840.10045.4.3.3" => HashAlgorithmName.SHA384,
        "1.2.840.113549.1.1.13" or "1.2.840.10045.4.3.4" => HashAlgorithmName.SHA512,
        "1.2.840.113549.1.1.10" => PssHashOf(certificate),
        _ => null,
    };

    // RSASSA-PSS names its hash in the parameters (RFC 4055 section 3.1); SHA-1 where it names none.
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A certificate that cannot be read has no binding.")]
    private static HashAlgorithmName? PssHashOf(X509Certificate2 certificate)
    {
        try
        {
            var outer = new AsnReader(certificate.RawData, AsnEncodingRules.DER).ReadSequence();
            outer.ReadEncodedValue();
            var algorithm = outer.ReadSequence();
            algorithm.ReadObjectIdentifier();
            var parameters = algorithm.ReadSequence();
            var tag = new Asn1Tag(TagClass.ContextSpecific, 0, isConstructed: true);
            if (!parameters.HasData || !parameters.PeekTag().HasSameClassAndValue(tag))
            {
                return HashAlgorithmName.SHA256;
            }

            return parameters.ReadSequence(tag).ReadSequence().ReadObjectIdentifier() switch
            {
                "2.16.840.1.101.3.4.2.2" => HashAlgorithmName.SHA384,
                "2.16.840.1.101.3.4.2.3" => HashAlgorithmName.SHA512,
                "2.16.840.1.101.3.4.2.1" or "1.3.14.3.2.26" => HashAlgorithmName.SHA256,
                _ => null,
            };
        }
        catch (Exception)
        {
            return null;
        }
    }
}
