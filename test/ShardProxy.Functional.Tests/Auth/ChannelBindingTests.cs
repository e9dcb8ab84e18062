using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;
using ShardProxy.Wire.Tls;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.Auth;

/// <summary>
/// Protects SCRAM against somebody in between: channel binding is offered on encrypted connections only, the client's word about it is
/// believed or refused as PostgreSQL does, and a binding to another certificate ends the login.
/// </summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class ChannelBindingTests : AuthFixture
{
    [Test]
    public async Task TheBindingIsOfferedOnEncryptedConnectionsOnly()
    {
        var proxy = await StartAsync();
        using var clear = await ConnectAsync(proxy);
        Assert.That(await OfferAsync(clear), Is.EqualTo("SCRAM-SHA-256"));
        using var encrypted = await ConnectTlsAsync(proxy);
        Assert.That(await OfferAsync(encrypted), Is.EqualTo("SCRAM-SHA-256-PLUS SCRAM-SHA-256"));
    }

    [TestCase("n,,", false, null, TestName = "A client without channel binding gets in")]
    [TestCase("p=tls-server-end-point,,", true, null, TestName = "A client that binds gets in")]
    [TestCase("y,,", false, "28000: SCRAM channel binding negotiation error", TestName = "A client that was not shown the offer is warned")]
    [TestCase("y,,", true, "08P01: malformed SCRAM message", TestName = "Plus without binding data")]
    [TestCase("n,,", true, "08P01: malformed SCRAM message", TestName = "Plus without binding")]
    [TestCase("p=tls-server-end-point,,", false, "08P01: malformed SCRAM message", TestName = "Binding data without plus")]
    [TestCase("p=tls-unique,,", true, "08P01: malformed SCRAM message", TestName = "A binding of another kind")]
    public async Task FlagsMeanWhatTheyMeanToPostgres(string header, bool isPlus, string? refusal)
    {
        var proxy = await StartAsync();
        using var client = await ConnectTlsAsync(proxy);
        var result = await LoginAsync(client, header, isPlus, CertificateHash(HashAlgorithmName.SHA256));
        Assert.That(result, Is.EqualTo(refusal ?? "in"));
    }

    [Test]
    public async Task ABindingToAnotherCertificateIsRefused()
    {
        var proxy = await StartAsync();
        using var client = await ConnectTlsAsync(proxy);
        Assert.That(await LoginAsync(client, "p=tls-server-end-point,,", isPlus: true, RandomNumberGenerator.GetBytes(32)), Is.EqualTo("28000: SCRAM channel binding check failed"));
    }

    [Test]
    public async Task PlusWhereItWasNotOfferedIsRefused()
    {
        var proxy = await StartAsync();
        using var client = await ConnectAsync(proxy);
        Assert.That(await LoginAsync(client, "p=tls-server-end-point,,", isPlus: true, new byte[32]), Is.EqualTo("08P01: client selected an invalid SASL authentication mechanism"));
    }

    [Test]
    public async Task WhereItIsDemandedNothingLessWillDo()
    {
        var proxy = await StartAsync(o => o with { Authentication = ClientAuthentication.ScramSha256Plus });
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=require"), TestCluster.Password)).Output, Is.EqualTo("1"));
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=disable"), TestCluster.Password)).Errors, Does.Contain("the proxy takes encrypted connections only"));
        using var client = await ConnectTlsAsync(proxy);
        Assert.That(await LoginAsync(client, "n,,", isPlus: false, []), Is.EqualTo("08P01: client selected an invalid SASL authentication mechanism"));
    }

    [Test]
    public async Task LibpqAgreesOnTheHashOfEveryCertificate([Values("SHA256", "SHA384", "SHA512")] string signature)
    {
        var certificate = Authority.IssueServer("hashed", signature: new HashAlgorithmName(signature));
        var proxy = await StartAsync(o => o with
        {
            Certificates = new TlsCertificates(new TlsServerOptions(certificate.CertificateFile, certificate.KeyFile), Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance),
        });
        var (_, output, errors) = await Libpq.RunAsync(Conninfo(proxy, "sslmode=require channel_binding=require"), TestCluster.Password);
        Assert.That(output, Is.EqualTo("1"), errors);
    }

    private static async Task<string> OfferAsync(ScriptedClient client)
    {
        await client.SendAsync(Startup([new("user", TestCluster.User), new("database", TestCluster.Database)]));
        return Encoding.ASCII.GetString((await client.ReadAsync())!.Authentication().Data).TrimEnd('\0').Replace('\0', ' ');
    }

    private byte[] CertificateHash(HashAlgorithmName hash)
    {
        using var certificate = X509CertificateLoader.LoadCertificateFromFile(ServerCertificate.CertificateFile);
        return CryptographicOperations.HashData(hash, certificate.RawData);
    }

    /// <summary>SCRAM by hand, with whatever flag and binding; "in", or the refusal.</summary>
    private static async Task<string> LoginAsync(ScriptedClient client, string header, bool isPlus, byte[] binding)
    {
        await OfferAsync(client);
        const string Bare = "n=,r=clientnonce";
        await client.SendAsync(SaslInitialResponse(isPlus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256", Encoding.ASCII.GetBytes(header + Bare)));
        var message = (await client.ReadAsync())!;
        if (message.Type == 'E')
        {
            return $"{message.Field('C')}: {message.Field('M')}";
        }

        var serverFirst = Encoding.ASCII.GetString(message.Authentication().Data);
        var parts = serverFirst.Split(',');
        var salted = Rfc2898DeriveBytes.Pbkdf2(TestCluster.Password, Convert.FromBase64String(parts[1][2..]), int.Parse(parts[2][2..], System.Globalization.CultureInfo.InvariantCulture), HashAlgorithmName.SHA256, 32);
        var clientKey = HMACSHA256.HashData(salted, "Client Key"u8);
        var withoutProof = $"c={Convert.ToBase64String([.. Encoding.ASCII.GetBytes(header), .. isPlus ? binding : []])},{parts[0]}";
        var signature = HMACSHA256.HashData(SHA256.HashData(clientKey), Encoding.ASCII.GetBytes($"{Bare},{serverFirst},{withoutProof}"));
        var proof = clientKey.Zip(signature, (a, b) => (byte)(a ^ b)).ToArray();
        await client.SendAsync(SaslResponse(Encoding.ASCII.GetBytes($"{withoutProof},p={Convert.ToBase64String(proof)}")));
        message = (await client.ReadAsync())!;
        return message.Type == 'E' ? $"{message.Field('C')}: {message.Field('M')}" : "in";
    }
}
