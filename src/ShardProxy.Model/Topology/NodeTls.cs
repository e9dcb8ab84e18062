namespace ShardProxy.Model.Topology;

/// <summary>How far a connection to a node is encrypted and the node checked, with libpq's names (PostgreSQL documentation, section 34.19).</summary>
public enum NodeTlsMode
{
    Disable,

    /// <summary>Encrypted if the node can; protects from nobody who can change the traffic.</summary>
    Prefer,

    /// <summary>Encrypted, whoever the node is; with a root certificate the same as <see cref="VerifyCa"/>, as libpq has it.</summary>
    Require,

    /// <summary>And its certificate issued by the given authority.</summary>
    VerifyCa,

    /// <summary>And made out to the node's host name.</summary>
    VerifyFull,
}

/// <summary>How connections to a node are encrypted, the data path's and the control plane's alike. Files are PEM.</summary>
/// <param name="Mode">How far.</param>
/// <param name="RootCertificateFile">Authorities of the node's certificate; null for none.</param>
/// <param name="CertificateFile">The proxy's own certificate, for nodes that ask for one; null for none.</param>
/// <param name="KeyFile">Its private key.</param>
public sealed record NodeTls(NodeTlsMode Mode, string? RootCertificateFile = null, string? CertificateFile = null, string? KeyFile = null)
{
    public static readonly NodeTls Disabled = new(NodeTlsMode.Disable);

    /// <summary>What libpq does when nobody says anything.</summary>
    public static readonly NodeTls Preferred = new(NodeTlsMode.Prefer);

    /// <summary>The node's certificate has to lead to <see cref="RootCertificateFile"/>.</summary>
    public bool VerifiesAuthority => Mode >= NodeTlsMode.VerifyCa || (Mode == NodeTlsMode.Require && RootCertificateFile is not null);
}
