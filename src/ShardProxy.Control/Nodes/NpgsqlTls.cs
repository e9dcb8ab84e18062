using Npgsql;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Nodes;

/// <summary>A node's encryption settings in Npgsql's words.</summary>
public static class NpgsqlTls
{
    /// <summary>Sets them, and returns the builder.</summary>
    public static NpgsqlConnectionStringBuilder With(this NpgsqlConnectionStringBuilder builder, NodeTls tls)
    {
        builder.SslMode = tls.Mode switch
        {
            NodeTlsMode.Disable => SslMode.Disable,
            NodeTlsMode.Prefer => SslMode.Prefer,
            NodeTlsMode.Require when !tls.VerifiesAuthority => SslMode.Require,
            NodeTlsMode.VerifyFull => SslMode.VerifyFull,
            _ => SslMode.VerifyCA,
        };
        builder.RootCertificate = tls.VerifiesAuthority ? tls.RootCertificateFile : null;
        builder.SslCertificate = tls.CertificateFile;
        builder.SslKey = tls.KeyFile;
        return builder;
    }
}
