using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using NUnit.Framework;
using ShardProxy.Admin.Http;
using ShardProxy.Admin.Metrics;
using ShardProxy.TestKit.Tls;
using ShardProxy.Wire.Tls;

namespace ShardProxy.Unit.Tests.Admin.Http;

// Protects the admin port where other machines reach it: no page without the token but the health checks, and TLS where there is a certificate.
[TestFixture]
[CancelAfter(30_000)]
internal sealed class AdminAccessTests
{
    private readonly AdminFixture _fixture = new();
    private MetricCollector _metrics = null!;

    [SetUp]
    public void SetUp() => _metrics = new MetricCollector();

    [TearDown]
    public void TearDown() => _metrics.Dispose();

    [TestCase("/metrics", null, HttpStatusCode.Unauthorized)]
    [TestCase("/", null, HttpStatusCode.Unauthorized)]
    [TestCase("/api/nodes", "Bearer wrong", HttpStatusCode.Unauthorized)]
    [TestCase("/api/nodes", "Bearer ", HttpStatusCode.Unauthorized)]
    [TestCase("/api/nodes", "Basic dG9rZW4=", HttpStatusCode.Unauthorized)]
    [TestCase("/no/such/page", null, HttpStatusCode.Unauthorized)]
    [TestCase("/api/nodes", "Bearer the-token", HttpStatusCode.OK)]
    [TestCase("/metrics", "bearer the-token", HttpStatusCode.OK)]
    [TestCase("/healthz", null, HttpStatusCode.OK)]
    [TestCase("/readyz", null, HttpStatusCode.OK)]
    public async Task PagesAskForTheToken(string page, string? authorization, HttpStatusCode status)
    {
        await using var server = await StartAsync(new AdminHttpOptions { Token = "the-token" });
        using var client = new HttpClient { BaseAddress = new Uri($"http://{server.EndPoint}") };
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(page, UriKind.Relative));
        if (authorization is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        }

        using var response = await client.SendAsync(request);
        Assert.That(response.StatusCode, Is.EqualTo(status));
        Assert.That(response.Headers.WwwAuthenticate, status == HttpStatusCode.Unauthorized ? Is.EqualTo(new[] { new AuthenticationHeaderValue("Bearer") }) : Is.Empty);
    }

    [Test]
    public async Task WithACertificateTheyAreServedEncryptedOnly()
    {
        using var authority = new TestAuthority();
        var certificate = authority.IssueServer();
        var identity = TlsServerIdentity.Load(new TlsServerOptions(certificate.CertificateFile, certificate.KeyFile));
        await using var server = await StartAsync(new AdminHttpOptions { Certificate = () => identity.Context });

        using var handler = new SocketsHttpHandler();
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        handler.SslOptions.CertificateChainPolicy.CustomTrustStore.ImportFromPemFile(authority.CertificateFile);
        using var client = new HttpClient(handler) { BaseAddress = new Uri($"https://{server.EndPoint}") };
        for (var i = 0; i < 3; i++)
        {
            Assert.That(await client.GetStringAsync(new Uri("/healthz", UriKind.Relative)), Is.EqualTo("ok\n"));
        }

        using var plain = new HttpClient { BaseAddress = new Uri($"http://{server.EndPoint}") };
        Assert.That(async () => await plain.GetStringAsync(new Uri("/healthz", UriKind.Relative)), Throws.InstanceOf<HttpRequestException>());
        Assert.That(await client.GetStringAsync(new Uri("/healthz", UriKind.Relative)), Is.EqualTo("ok\n"), "and goes on serving");
    }

    private async Task<AdminHttpServer> StartAsync(AdminHttpOptions options)
    {
        var server = new AdminHttpServer(options, new AdminPages(_fixture.Backend, _metrics, []));
        await server.StartAsync(CancellationToken.None);
        return server;
    }
}
