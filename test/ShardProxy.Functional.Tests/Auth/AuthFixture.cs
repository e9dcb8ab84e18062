using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.Functional.Tests.DataPath;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Tls;
using ShardProxy.TestKit.Wire;
using ShardProxy.Wire.Tls;

namespace ShardProxy.Functional.Tests.Auth;

/// <summary>A certificate authority, a cluster, and proxies in front of it that log clients in as a test says.</summary>
internal abstract class AuthFixture
{
    private readonly List<ProxyUnderTest> _proxies = [];

    protected TestAuthority Authority { get; private set; } = null!;

    protected TestCertificate ServerCertificate { get; private set; } = null!;

    protected TestCluster Cluster { get; private set; } = null!;

    [OneTimeSetUp]
    public async Task PrepareAsync()
    {
        Authority = new TestAuthority();
        ServerCertificate = Authority.IssueServer();
        Cluster = await SharedCluster.GetAsync();
    }

    [TearDown]
    public async Task StopProxiesAsync()
    {
        foreach (var proxy in _proxies)
        {
            await proxy.DisposeAsync();
        }

        _proxies.Clear();
    }

    [OneTimeTearDown]
    public void Clean() => Authority?.Dispose();

    /// <summary>A proxy with a certificate, gone after the test.</summary>
    protected async Task<ProxyUnderTest> StartAsync(Func<DataPathOptions, DataPathOptions>? configure = null, bool checksClients = false)
    {
        var proxy = await ProxyUnderTest.StartAsync(Cluster, TestCluster.Database, null, o =>
        {
            o = o with { Certificates = Certificates(checksClients) };
            return configure?.Invoke(o) ?? o;
        });
        _proxies.Add(proxy);
        return proxy;
    }

    protected TlsCertificates Certificates(bool checksClients = false) => new(
        new TlsServerOptions(ServerCertificate.CertificateFile, ServerCertificate.KeyFile, checksClients ? Authority.CertificateFile : null), NullLogger.Instance);

    protected static string Conninfo(ProxyUnderTest proxy, string more, string user = TestCluster.User) =>
        string.Create(CultureInfo.InvariantCulture, $"host=localhost hostaddr=127.0.0.1 port={proxy.Port} user={user} dbname={proxy.Database} {more}");

    protected static Task<ScriptedClient> ConnectAsync(ProxyUnderTest proxy) => ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));

    /// <summary>A scripted client after the handshake, not logged in yet.</summary>
    protected async Task<ScriptedClient> ConnectTlsAsync(ProxyUnderTest proxy, TestCertificate? client = null, string? alpn = null)
    {
        var scripted = await ConnectAsync(proxy);
        Assert.That(await scripted.RequestSslAsync(), Is.EqualTo('S'));
        await scripted.SecureAsync(TlsOptions(client, alpn));
        return scripted;
    }

    protected SslClientAuthenticationOptions TlsOptions(TestCertificate? client = null, string? alpn = null, SslProtocols protocols = SslProtocols.None)
    {
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            EnabledSslProtocols = protocols,
            CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck },
            ApplicationProtocols = alpn is null ? null : [new SslApplicationProtocol(alpn)],
            ClientCertificates = client is null ? null : [client.Load()],
        };
        options.CertificateChainPolicy.CustomTrustStore.ImportFromPemFile(Authority.CertificateFile);
        return options;
    }
}
