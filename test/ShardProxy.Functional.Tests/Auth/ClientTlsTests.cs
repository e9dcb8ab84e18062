using System.Net;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using NUnit.Framework;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Tls;
using ShardProxy.TestKit.Wire;
using ShardProxy.Wire.Tls;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.Auth;

/// <summary>
/// Protects what clients entrust to TLS: libpq's strictest modes connect, nothing that arrived in clear is taken for encrypted, who does
/// not encrypt stays out where that is demanded, and certificates change under a running proxy.
/// </summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class ClientTlsTests : AuthFixture
{
    [TestCase("sslmode=require")]
    [TestCase("sslmode=require channel_binding=require")]
    [TestCase("sslmode=verify-full channel_binding=require", true)]
    [TestCase("sslmode=require ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.2 channel_binding=require")]
    [TestCase("sslmode=prefer gssencmode=prefer")]
    public async Task LibpqConnectsEncrypted(string mode, bool verifies = false)
    {
        var proxy = await StartAsync();
        var (code, output, errors) = await Libpq.RunAsync(Conninfo(proxy, mode + (verifies ? $" sslrootcert={Authority.CertificateFile}" : "")), TestCluster.Password, "\\conninfo");
        Assert.That(code, Is.Zero, errors);
        Assert.That(output, Does.Contain("SSL connection (protocol: TLSv1."));
    }

    [Test]
    public async Task LibpqRefusesAnImpostor()
    {
        var proxy = await StartAsync();
        using var other = new TestAuthority("Somebody Else");
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, $"sslmode=verify-ca sslrootcert={other.CertificateFile}"), TestCluster.Password)).Errors, Does.Contain("certificate verify failed"));
        Assert.That(
            (await Libpq.RunAsync(Conninfo(proxy, $"sslmode=verify-full sslrootcert={Authority.CertificateFile}").Replace("host=localhost", "host=elsewhere", StringComparison.Ordinal), TestCluster.Password)).Errors,
            Does.Contain("does not match host name"));
    }

    [Test]
    public async Task ConnectionsInClearGoOnUnlessEncryptionIsDemanded()
    {
        var allowing = await StartAsync();
        Assert.That((await Libpq.RunAsync(Conninfo(allowing, "sslmode=disable"), TestCluster.Password)).Output, Is.EqualTo("1"));

        var demanding = await StartAsync(o => o with { DemandsTls = true });
        Assert.That((await Libpq.RunAsync(Conninfo(demanding, "sslmode=require"), TestCluster.Password)).Output, Is.EqualTo("1"));
        using var client = await ConnectAsync(demanding);
        var reply = await client.StartAsync(TestCluster.User, TestCluster.Database, TestCluster.Password);
        Assert.That((reply.SqlState, reply.Messages.Count), Is.EqualTo(("28000", 1)));
        Assert.That(reply.Messages[0].Field('D'), Does.StartWith("SHP-123"));
    }

    [Test]
    public async Task WithoutACertificateEncryptionIsDeclined()
    {
        var proxy = await StartAsync(o => o with { Certificates = null });
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=require"), TestCluster.Password)).Errors, Does.Contain("server does not support SSL"));
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=prefer"), TestCluster.Password)).Output, Is.EqualTo("1"));
    }

    [Test]
    public async Task WhatCameInClearBehindTheRequestIsNotTakenForTheClientsOwn()
    {
        var proxy = await StartAsync();
        using var client = await ConnectAsync(proxy);
        await client.SendAsync(SslRequest(), Startup([new("user", TestCluster.User), new("database", TestCluster.Database)]));
        var reply = await client.ReadUntilAsync('\0');
        Assert.That(reply.Messages.Select(m => m.Type), Is.EqualTo(new[] { 'E' }), reply.ToString());
        Assert.That(reply.Errors[0].Field('M'), Is.EqualTo("received unencrypted data after SSL request"));
    }

    [Test]
    public async Task GssapiIsDeclinedAndTlsMayFollow()
    {
        var proxy = await StartAsync();
        using var client = await ConnectAsync(proxy);
        await client.SendAsync(new byte[] { 0, 0, 0, 8, 4, 0xd2, 0x16, 0x30 });
        Assert.That(await client.RequestSslAsync(), Is.EqualTo('N'), "the answer to GSSENCRequest");
        Assert.That(await client.ReadByteAsync(), Is.EqualTo('S'), "the answer to SSLRequest");
        await client.SecureAsync(TlsOptions());
        Assert.That((await client.StartAsync(TestCluster.User, TestCluster.Database, TestCluster.Password)).Status, Is.EqualTo('I'));
    }

    [Test]
    public async Task ClientsMayBeginWithTlsAtOnceIfTheyNameTheProtocol()
    {
        var proxy = await StartAsync();
        using var direct = await ConnectAsync(proxy);
        await direct.SecureAsync(TlsOptions(alpn: "postgresql"));
        Assert.That((await direct.StartAsync(TestCluster.User, TestCluster.Database, TestCluster.Password)).Status, Is.EqualTo('I'));

        using var nameless = await ConnectAsync(proxy);
        await nameless.SecureAsync(TlsOptions());
        await nameless.SendAsync(Startup([new("user", TestCluster.User)]));
        Assert.That((await nameless.ReadUntilAsync('\0')).Errors[0].Field('M'), Does.Contain("without ALPN"));

        using var foreign = await ConnectAsync(proxy);
        Assert.That(async () => await foreign.SecureAsync(TlsOptions(alpn: "h2")), Throws.InstanceOf<AuthenticationException>().Or.InstanceOf<IOException>());
    }

    [Test]
    public async Task OldProtocolVersionsAreRefused()
    {
        var proxy = await StartAsync(o => o with
        {
            Certificates = new TlsCertificates(
                new TlsServerOptions(ServerCertificate.CertificateFile, ServerCertificate.KeyFile, DemandsTls13: true), Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance),
        });
        using var client = await ConnectAsync(proxy);
        Assert.That(await client.RequestSslAsync(), Is.EqualTo('S'));
        Assert.That(async () => await client.SecureAsync(TlsOptions(protocols: SslProtocols.Tls12)), Throws.InstanceOf<AuthenticationException>().Or.InstanceOf<IOException>());
    }

    [Test]
    public async Task MuchDataGoesBothWaysUnchanged()
    {
        var proxy = await StartAsync();
        using var client = await ConnectTlsAsync(proxy);
        await client.StartAsync(TestCluster.User, TestCluster.Database, TestCluster.Password);
        const string Sum = "SELECT sum(hashtext(i::text)), count(*), string_agg(repeat(i::text, 20), '' ORDER BY i) FROM generate_series(1, 20000) i";
        var through = await client.QueryAsync(Sum);
        Assert.That(through.Rows[0][2], Has.Length.EqualTo(20 * Enumerable.Range(1, 20000).Sum(i => i.ToString(System.Globalization.CultureInfo.InvariantCulture).Length)));

        await client.QueryAsync("CREATE TABLE tls_rows (id int, v text)");
        await client.SendAsync(Query("COPY tls_rows FROM STDIN"), CopyData(string.Concat(Enumerable.Range(0, 20000).Select(i => $"{i}\t{new string('x', i % 90)}\n"))), CopyDone());
        Assert.That((await client.ReadUntilReadyAsync()).Tags, Is.EqualTo(new[] { "COPY 20000" }));
        Assert.That((await client.QueryAsync("SELECT count(*), sum(length(v)) FROM tls_rows")).Rows[0], Is.EqualTo(new[] { "20000", Enumerable.Range(0, 20000).Sum(i => i % 90).ToString(System.Globalization.CultureInfo.InvariantCulture) }));

        // A pipeline in one write, a row at a time.
        await client.SendAsync([.. Enumerable.Range(0, 200).SelectMany(i => new[] { Parse("SELECT $1::int"), Bind(values: $"{i}"), Execute(), Sync() })]);
        for (var i = 0; i < 200; i++)
        {
            Assert.That((await client.ReadUntilReadyAsync()).Rows[0][0], Is.EqualTo($"{i}"));
        }

        await client.QueryAsync("DROP TABLE tls_rows");
    }

    [Test]
    public async Task ACancelRequestWorksInClearAndEncrypted([Values] bool isEncrypted)
    {
        var proxy = await StartAsync(o => o with { DemandsTls = true });
        using var client = await ConnectTlsAsync(proxy);
        await client.StartAsync(TestCluster.User, TestCluster.Database, TestCluster.Password);
        await client.SendAsync(Query("SELECT pg_sleep(60)"));
        await Waiting.UntilAsync(() => Cluster.ScalarAsync<bool>(0, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active')"));
        if (isEncrypted)
        {
            using var other = await ConnectTlsAsync(proxy);
            await other.SendAsync(CancelRequest(client.ProcessId, client.SecretKey));
            await other.ReadAsync();
        }
        else
        {
            await client.CancelAsync(new IPEndPoint(IPAddress.Loopback, proxy.Port));
        }

        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.EqualTo("57014"));
    }

    [Test]
    public async Task ANewCertificateIsForNewConnectionsAndABadOneForNobody()
    {
        var certificate = Authority.IssueServer("changing");
        var certificates = new TlsCertificates(new TlsServerOptions(certificate.CertificateFile, certificate.KeyFile), Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        var proxy = await StartAsync(o => o with { Certificates = certificates });
        using var old = await ConnectTlsAsync(proxy);
        await old.StartAsync(TestCluster.User, TestCluster.Database, TestCluster.Password);
        Assert.That(await ThumbprintAsync(), Is.EqualTo(certificate.Thumbprint));

        await File.WriteAllTextAsync(certificate.CertificateFile, "no certificate at all");
        Assert.That(proxy.Plane.ReloadLogins(), Has.Length.EqualTo(1));
        Assert.That(await ThumbprintAsync(), Is.EqualTo(certificate.Thumbprint), "the old one goes on");

        var renewed = Authority.IssueServer("changing");
        Assert.That(proxy.Plane.ReloadLogins(), Is.Empty);
        Assert.That(await ThumbprintAsync(), Is.EqualTo(renewed.Thumbprint).And.Not.EqualTo(certificate.Thumbprint));
        Assert.That((await old.QueryAsync("SELECT 1")).Rows[0][0], Is.EqualTo("1"), "open connections live on");

        async Task<string> ThumbprintAsync()
        {
            using var client = await ConnectAsync(proxy);
            await client.RequestSslAsync();
            var tls = await client.SecureAsync(TlsOptions());
            return ((X509Certificate2)tls.RemoteCertificate!).Thumbprint;
        }
    }

    private static IEnumerable<TestCaseData> Garbage()
    {
        (string, byte[])[] cases =
        [
            ("a hello cut short", [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), ("a record of zeros", [0x16, 3, 1, 0, 16, .. new byte[16]]),
            ("a huge record", [0x16, 3, 3, 0xff, 0xff, .. new byte[70_000]]), ("an alert", [0x16, 0x15, 3, 3, 0, 2, 2, 40]), ("only its first byte", [0x16]),
            ("random records", [0x16, .. Enumerable.Range(0, 5000).Select(i => (byte)((i * 7919) >> 3))]),
        ];
        return cases.Select(c => new TestCaseData(c.Item2).SetArgDisplayNames(c.Item1));
    }

    [TestCaseSource(nameof(Garbage))]
    public async Task GarbageInPlaceOfAHandshakeIsItsSendersProblem(byte[] bytes)
    {
        var proxy = await StartAsync();
        foreach (var requests in new[] { false, true })
        {
            using var hostile = await ConnectAsync(proxy);
            if (requests)
            {
                Assert.That(await hostile.RequestSslAsync(), Is.EqualTo('S'));
            }

            await hostile.SendAsync(bytes);
            hostile.CloseWriting();
            while (await hostile.ReadByteAsync() is not null)
            {
                // An alert of TLS, then the end.
            }
        }

        using var honest = await ConnectTlsAsync(proxy);
        Assert.That((await honest.StartAsync(TestCluster.User, TestCluster.Database, TestCluster.Password)).Status, Is.EqualTo('I'));
    }
}
