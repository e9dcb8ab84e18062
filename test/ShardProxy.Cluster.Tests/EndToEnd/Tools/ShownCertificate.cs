using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>What a server shows to whoever begins with TLS at once.</summary>
internal static class ShownCertificate
{
    public static async Task<string> ThumbprintAsync(int port, CancellationToken cancellationToken)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
        await using var tls = new SslStream(socket.GetStream(), leaveInnerStreamOpen: false);
        var thumbprint = "";
        await tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = "localhost",
                ApplicationProtocols = [new SslApplicationProtocol("postgresql")],
                CertificateChainPolicy = new X509ChainPolicy { VerificationFlags = X509VerificationFlags.AllFlags },
                RemoteCertificateValidationCallback = (_, certificate, _, _) => (thumbprint = ((X509Certificate2)certificate!).Thumbprint).Length > 0,
            },
            cancellationToken);
        return thumbprint;
    }
}
