using System.Net;
using System.Net.Sockets;
using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.Functional.Tests.DataPath;
using ShardProxy.Model.Topology;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Tls;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.Auth;

/// <summary>
/// Protects the way from the proxy to the nodes: it is encrypted where that is demanded, an impostor is not spoken to, and a node that asks
/// for the proxy's certificate gets it.
/// </summary>
[TestFixture]
[CancelAfter(90_000)]
internal sealed class NodeTlsTests
{
    private TestAuthority _authority = null!;
    private TestCluster _cluster = null!;
    private ProxyUnderTest? _proxy;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _authority = new TestAuthority();
        var certificate = _authority.IssueServer();
        _cluster = await TestCluster.StartAsync();
        await WriteAsync("server.crt", await File.ReadAllTextAsync(certificate.CertificateFile));
        await WriteAsync("server.key", await File.ReadAllTextAsync(certificate.KeyFile));
        await WriteAsync("root.crt", await File.ReadAllTextAsync(_authority.CertificateFile));
        await WriteAsync("pg_hba.conf", """
            hostssl all certified all cert
            hostssl all all all scram-sha-256
            """);
        await _cluster.ExecuteAsync(0, "CREATE ROLE certified LOGIN; ");
        await _cluster.ExecuteAsync(0, "ALTER SYSTEM SET ssl = on");
        await _cluster.ExecuteAsync(0, "ALTER SYSTEM SET ssl_ca_file = 'root.crt'");
        await _cluster.ExecuteAsync(0, "SELECT pg_reload_conf()");
        await Waiting.UntilAsync(async () =>
        {
            using var probe = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, _cluster.Nodes[0].Port));
            return await probe.RequestSslAsync() == 'S';
        });

        // The file is written by the server itself, in its data directory, so that it is its own.
        Task WriteAsync(string name, string text) => _cluster.ExecuteAsync(
            0, $"COPY (SELECT '{Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes(text))}') TO PROGRAM 'base64 -d > {name}; chmod 600 {name}'");
    }

    [TearDown]
    public async Task StopProxyAsync()
    {
        if (_proxy is not null)
        {
            await _proxy.DisposeAsync();
        }
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        if (_cluster is not null)
        {
            await _cluster.DisposeAsync();
        }

        _authority?.Dispose();
    }

    [TestCase(NodeTlsMode.Prefer, false)]
    [TestCase(NodeTlsMode.Require, false)]
    [TestCase(NodeTlsMode.Require, true)]
    [TestCase(NodeTlsMode.VerifyCa, true)]
    [TestCase(NodeTlsMode.VerifyFull, true)]
    public async Task TheServersSeeAnEncryptedConnection(NodeTlsMode mode, bool hasRoot)
    {
        using var client = await (await ProxyAsync(new NodeTls(mode, hasRoot ? _authority.CertificateFile : null))).LoginAsync();
        Assert.That((await client.QueryAsync("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).Rows[0], Is.EqualTo(new[] { "t", "TLSv1.3" }));
        var much = await client.QueryAsync("SELECT repeat('x', 1000) FROM generate_series(1, 2000)");
        Assert.That(much.Rows, Has.Count.EqualTo(2000).And.All.EqualTo(new[] { new string('x', 1000) }));

        // A cancel request finds its way too.
        await client.SendAsync(Frontend.Query("SELECT pg_sleep(60)"));
        await Waiting.UntilAsync(() => _cluster.ScalarAsync<bool>(0, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active')"));
        await client.CancelAsync(new IPEndPoint(IPAddress.Loopback, _proxy!.Port));
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("57014"));
    }

    [TestCase(NodeTlsMode.Require)]
    [TestCase(NodeTlsMode.VerifyCa)]
    [TestCase(NodeTlsMode.VerifyFull)]
    public async Task AnImpostorIsNotSpokenTo(NodeTlsMode mode)
    {
        using var other = new TestAuthority("Somebody Else");
        await RefusedAsync(await ProxyAsync(new NodeTls(mode, other.CertificateFile)), "SHP-131");
    }

    [Test]
    public async Task ThePathInClearEndsWithTheServersOwnWord()
    {
        var proxy = await ProxyAsync(NodeTls.Disabled);
        using var client = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
        var reply = await client.StartAsync(TestCluster.User, TestCluster.Database, TestCluster.Password);
        Assert.That((reply.SqlState, reply.Errors[0].Field('M')), Is.EqualTo(("28000", "no pg_hba.conf entry for host \"127.0.0.1\", user \"app\", database \"app\", no encryption")));
    }

    [Test]
    public async Task ANodeMayAskForTheProxysCertificate()
    {
        var certificate = _authority.IssueClient("certified");
        var proxy = await ProxyAsync(
            new NodeTls(NodeTlsMode.VerifyFull, _authority.CertificateFile, certificate.CertificateFile, certificate.KeyFile),
            o => o with { Users = [new UserCredential("certified", "for the proxy alone", false)] });
        using var client = await ScriptedClient.LoginAsync(proxy.Port, "certified", TestCluster.Database, "for the proxy alone");
        Assert.That((await client.QueryAsync("SELECT current_user, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).Rows[0], Is.EqualTo(new[] { "certified", "/CN=certified" }));
    }

    [Test]
    public async Task ANodeThatCannotEncryptIsUsedOnlyWhereThatIsAllowed()
    {
        var plain = await SharedCluster.GetAsync();
        using (var client = await (await ProxyAsync(NodeTls.Preferred, node: plain)).LoginAsync())
        {
            Assert.That((await client.QueryAsync("SELECT 1")).Rows[0][0], Is.EqualTo("1"));
        }

        await RefusedAsync(await ProxyAsync(new NodeTls(NodeTlsMode.Require), node: plain), "SHP-131: The server does not offer encryption");
    }

    [Test]
    public async Task WhatComesInClearBehindTheAnswerIsNotBelieved()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = Task.Run(async () =>
        {
            using var connection = await listener.AcceptTcpClientAsync();
            var stream = connection.GetStream();
            await stream.ReadExactlyAsync(new byte[8]);
            await stream.WriteAsync("SR\0\0\0\u0008\0\0\0\0"u8.ToArray());
        });
        _proxy = await ProxyUnderTest.StartAsync([(IPEndPoint)listener.LocalEndpoint], TestCluster.Database, null, Tls(new NodeTls(NodeTlsMode.Require)));
        await RefusedAsync(_proxy, "SHP-131: Received unencrypted data");
        await serving;
    }

    private static Func<DataPathOptions, DataPathOptions> Tls(NodeTls tls) => o => o with
    {
        NodeTls = new Dictionary<string, NodeTls> { ["node1"] = tls },
        NodeDownWait = TimeSpan.Zero,
    };

    private async Task<ProxyUnderTest> ProxyAsync(NodeTls tls, Func<DataPathOptions, DataPathOptions>? configure = null, TestCluster? node = null) =>
        _proxy = await ProxyUnderTest.StartAsync(
            [new IPEndPoint(IPAddress.Loopback, (node ?? _cluster).Nodes[0].Port)], TestCluster.Database, null, o => configure?.Invoke(Tls(tls)(o)) ?? Tls(tls)(o));

    private static async Task RefusedAsync(ProxyUnderTest proxy, string detail)
    {
        using var client = await ScriptedClient.ConnectAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
        var reply = await client.StartAsync(TestCluster.User, TestCluster.Database, TestCluster.Password);
        Assert.That(reply.SqlState, Is.EqualTo("08001"), reply.ToString());
        Assert.That(reply.Errors[0].Field('D'), Does.StartWith(detail));
    }
}
