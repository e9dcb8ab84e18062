namespace ShardProxy.Wire.Tls;

/// <summary>Files of the certificate that clients see. PEM, read when asked to, so that they may be exchanged under a running proxy.</summary>
/// <param name="CertificateFile">The certificate, then its intermediates.</param>
/// <param name="KeyFile">The private key, not encrypted. May be the certificate's file.</param>
/// <param name="ClientAuthorityFile">Authorities of client certificates; null when clients are not asked for one.</param>
/// <param name="DemandsTls13">Refuses TLS 1.2.</param>
public sealed record TlsServerOptions(string CertificateFile, string KeyFile, string? ClientAuthorityFile = null, bool DemandsTls13 = false);
