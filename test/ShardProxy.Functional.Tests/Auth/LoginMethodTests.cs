using System.Globalization;
using System.Net;
using System.Text;
using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.Functional.Tests.DataPath;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;
using static System.Buffers.Binary.BinaryPrimitives;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Functional.Tests.Auth;

/// <summary>
/// Protects every way in: each method lets the right client in and nobody else, the first rule that matches decides, and no answer tells
/// an unknown user from a wrong password.
/// </summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class LoginMethodTests : AuthFixture
{
    [Test]
    public async Task Md5LetsInWhoKnowsThePassword()
    {
        var proxy = await StartAsync(o => o with { Authentication = ClientAuthentication.Md5 });
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=disable"), TestCluster.Password)).Output, Is.EqualTo("1"));
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=disable"), "wrong")).Errors, Does.Contain("password authentication failed for user \"app\""));
    }

    [Test]
    public async Task CleartextIsForEncryptedConnectionsUnlessAllowed()
    {
        var proxy = await StartAsync(o => o with { Authentication = ClientAuthentication.Password });
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=require"), TestCluster.Password)).Output, Is.EqualTo("1"));
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=require"), "wrong")).Errors, Does.Contain("password authentication failed"));

        // Nothing was asked for: the password has not been sent.
        using var clear = await ConnectAsync(proxy);
        var reply = await clear.StartAsync(TestCluster.User, TestCluster.Database, TestCluster.Password);
        Assert.That((reply.Types, reply.SqlState, reply.Errors[0].Field('D')), Is.EqualTo(("E", "28000", "SHP-126")));

        var lenient = await StartAsync(o => o with { Authentication = ClientAuthentication.Password, AllowsCleartextPasswords = true });
        Assert.That((await Libpq.RunAsync(Conninfo(lenient, "sslmode=disable"), TestCluster.Password)).Output, Is.EqualTo("1"));
    }

    [Test]
    public async Task ACertificateIsAProof()
    {
        var proxy = await StartAsync(o => o with { Authentication = ClientAuthentication.Certificate }, checksClients: true);
        var own = Authority.IssueClient(TestCluster.User, "own");
        var others = Authority.IssueClient("somebody", "others");
        using var foreigners = new TestKit.Tls.TestAuthority("Foreigners");
        var foreign = foreigners.IssueClient(TestCluster.User);

        Assert.That((await Libpq.RunAsync(Conninfo(proxy, Files(own)), null)).Output, Is.EqualTo("1"));
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, Files(others)), null)).Errors, Does.Contain("certificate authentication failed for user \"app\""));
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, Files(foreign)), null)).Errors, Does.Contain("issued by somebody the proxy does not trust"));
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=require sslcert=/nonexistent"), null)).Errors, Does.Contain("connection requires a valid client certificate"));

        var mapping = await StartAsync(
            o => o with
            {
                Rules = [AuthenticationRule.ForAll(ClientAuthentication.Certificate) with { CertificateNames = new Dictionary<string, string> { ["somebody"] = TestCluster.User } }],
            },
            checksClients: true);
        Assert.That((await Libpq.RunAsync(Conninfo(mapping, Files(others)), null)).Output, Is.EqualTo("1"));
        Assert.That((await Libpq.RunAsync(Conninfo(mapping, Files(own)), null)).Errors, Does.Contain("certificate authentication failed"), "a map names everybody");

        static string Files(TestKit.Tls.TestCertificate certificate) => $"sslmode=require sslcert={certificate.CertificateFile} sslkey={certificate.KeyFile}";
    }

    // The framework's "simple name" of such a certificate is the department's: whoever may name one would be whom he likes.
    [TestCase("OU={0}")]
    [TestCase("O={0}, C=DE")]
    [TestCase("CN=somebody, OU={0}")]
    [TestCase("CN=somebody, CN={0}")]
    [TestCase("CN={0}, CN=somebody")]
    public async Task OnlyTheCommonNameOfACertificateSaysWhoSomebodyIs(string subject)
    {
        var proxy = await StartAsync(o => o with { Authentication = ClientAuthentication.Certificate }, checksClients: true);
        var other = Authority.IssueSubject(string.Format(System.Globalization.CultureInfo.InvariantCulture, subject, TestCluster.User), "subject");
        using var client = await ConnectTlsAsync(proxy, other);
        var reply = await client.StartAsync(TestCluster.User, TestCluster.Database, null!);
        Assert.That((reply.SqlState, reply.Errors[0].Field('D')), Is.EqualTo(("28000", "SHP-125")), reply.ToString());
        var own = Authority.IssueSubject($"CN={TestCluster.User}, OU=somebody", "subject");
        using var right = await ConnectTlsAsync(proxy, own);
        Assert.That((await right.StartAsync(TestCluster.User, TestCluster.Database, null!)).Status, Is.EqualTo('I'));
    }

    [Test]
    public async Task APasswordIsStillAskedForWhereCertificatesMayBeShown()
    {
        var proxy = await StartAsync(checksClients: true);
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=require"), TestCluster.Password)).Output, Is.EqualTo("1"));
    }

    [Test]
    public async Task TheFirstRuleThatMatchesDecides()
    {
        IPNetwork loopback = new(IPAddress.Loopback, 32), elsewhere = new(IPAddress.Parse("10.0.0.0"), 8);
        var proxy = await StartAsync(o => o with
        {
            Users = [.. o.Users, new UserCredential("watch", "w", false) { IsMonitor = true }],
            Rules =
            [
                new(RuleKind.Host, ["all"], ["all"], elsewhere, ClientAuthentication.Trust),
                new(RuleKind.Host, ["shardproxy"], ["watch"], loopback, ClientAuthentication.Trust),
                new(RuleKind.Host, ["shardproxy"], ["all"], null, ClientAuthentication.Reject),
                new(RuleKind.HostSsl, ["app", "other"], ["nobody", TestCluster.User], loopback, ClientAuthentication.Trust),
                new(RuleKind.HostNoSsl, ["app"], ["all"], null, ClientAuthentication.ScramSha256),
            ],
        });
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=require"), null)).Output, Is.EqualTo("1"), "hostssl trust");
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=disable"), TestCluster.Password)).Output, Is.EqualTo("1"), "hostnossl scram");
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=disable"), null)).Errors, Does.Contain("no password supplied"), "hostnossl scram");

        Assert.That(await RefusalAsync("shardproxy", TestCluster.User), Is.EqualTo((
            "28000", "pg_hba.conf rejects connection for host \"127.0.0.1\", user \"app\", database \"shardproxy\", no encryption", "SHP-122")));
        Assert.That(await RefusalAsync("third", "nobody"), Is.EqualTo((
            "28000", "no pg_hba.conf entry for host \"127.0.0.1\", user \"nobody\", database \"third\", no encryption", "SHP-121")));
        using var watcher = await ConnectAsync(proxy);
        Assert.That((await watcher.StartAsync("watch", "shardproxy")).Status, Is.EqualTo('I'), "the console has a rule of its own");

        async Task<(string?, string?, string?)> RefusalAsync(string database, string user)
        {
            using var client = await ConnectAsync(proxy);
            var reply = await client.StartAsync(user, database);
            Assert.That(reply.Types, Is.EqualTo("E"));
            return (reply.SqlState, reply.Errors[0].Field('M'), reply.Errors[0].Field('D'));
        }
    }

    [Test]
    public async Task OtherRulesAndUsersTakeEffectWithTheNextLogin()
    {
        DataPathOptions options = null!;
        var proxy = await StartAsync(o => options = o with { Rules = [AuthenticationRule.ForAll(ClientAuthentication.Trust)] });
        using var early = await ConnectAsync(proxy);
        Assert.That((await early.StartAsync(TestCluster.User, TestCluster.Database)).Status, Is.EqualTo('I'));

        Assert.That(
            proxy.Plane.ReloadLogins(options with
            {
                Rules = [AuthenticationRule.ForAll(ClientAuthentication.ScramSha256)],
                Users = [new UserCredential(TestCluster.User, TestCluster.Password, false), new UserCredential("ops", "o", true)],
            }),
            Is.Empty);
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=disable"), null)).Errors, Does.Contain("no password supplied"));
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=disable"), TestCluster.Password)).Output, Is.EqualTo("1"));
        Assert.That((await early.QueryAsync("SELECT 1")).Rows[0][0], Is.EqualTo("1"));

        using var formerAdmin = await ConnectAsync(proxy);
        Assert.That((await formerAdmin.StartAsync(TestCluster.User, "shardproxy", TestCluster.Password)).SqlState, Is.EqualTo("42501"));
        using var admin = await ConnectAsync(proxy);
        Assert.That((await admin.StartAsync("ops", "shardproxy", "o")).Status, Is.EqualTo('I'));
    }

    private static readonly ClientAuthentication[] Methods = [ClientAuthentication.ScramSha256, ClientAuthentication.Md5, ClientAuthentication.Password];

    [TestCaseSource(nameof(Methods))]
    public async Task AnUnknownUserIsNotToldFromAWrongPassword(ClientAuthentication method)
    {
        var proxy = await StartAsync(o => o with
        {
            Authentication = method,
            AllowsCleartextPasswords = true,

            // One whose secret does not fit the method is no different either.
            Users = [.. o.Users, new UserCredential("none", null, false)],
        });
        var wrong = await TranscriptAsync(TestCluster.User);
        Assert.That(wrong, Does.EndWith("28P01 password authentication failed for user \"U\" SHP-106"));
        Assert.That(await TranscriptAsync("unknown"), Is.EqualTo(wrong));
        Assert.That(await TranscriptAsync("none"), Is.EqualTo(wrong));

        async Task<string> TranscriptAsync(string user)
        {
            using var client = await ConnectAsync(proxy);
            var reply = await client.StartAsync(user, TestCluster.Database, "wrong");
            var error = reply.Errors.Single();
            return string.Join(' ', reply.Messages.Select(m => m.Type == 'R' ? $"R{m.Authentication().Code}:{m.Body.Length}" : $"{m.Type}"))
                + $" {error.Field('C')} {error.Field('M')!.Replace($"\"{user}\"", "\"U\"", StringComparison.Ordinal)} {error.Field('D')}";
        }
    }

    [Test]
    public async Task AnUnknownUsersSaltStaysOverRestartsAndProxies()
    {
        var secret = new byte[32];
        var one = await StartAsync(o => o with { MockSecret = secret });
        var other = await StartAsync(o => o with { MockSecret = secret });
        foreach (var user in new[] { "unknown", TestCluster.User })
        {
            Assert.That(await SaltAsync(one, user), Is.EqualTo(await SaltAsync(other, user)), user);
        }

        static async Task<string> SaltAsync(ProxyUnderTest proxy, string user)
        {
            using var client = await ConnectAsync(proxy);
            await client.SendAsync(Startup([new("user", user)]), SaslInitialResponse("SCRAM-SHA-256", "n,,n=,r=abc"u8.ToArray()));
            await client.ReadAsync();
            return System.Text.Encoding.ASCII.GetString((await client.ReadAsync())!.Authentication().Data).Split(',')[1];
        }
    }

    [Test]
    public async Task WhoHasNotLoggedInTakesNoMoreThanItsShareOfPlaces()
    {
        var proxy = await StartAsync(o => o with { MaxUnauthenticated = 3 });
        using var in1 = await proxy.LoginAsync();
        var waiting = new List<ScriptedClient>();
        for (var i = 0; i < 3; i++)
        {
            var client = await ConnectAsync(proxy);
            waiting.Add(client);

            // The answer shows that it has been counted.
            await client.RequestSslAsync();
        }

        using (var late = await ConnectAsync(proxy))
        {
            var refusal = await late.ReadUntilAsync('\0');
            Assert.That((refusal.SqlState, refusal.Errors[0].Field('D')), Is.EqualTo(("53300", "SHP-120")));
        }

        Assert.That((await in1.QueryAsync("SELECT 1")).Rows[0][0], Is.EqualTo("1"), "who is in stays in");
        waiting.ForEach(c => c.Dispose());
        await Waiting.UntilAsync(async () =>
        {
            using var again = await ConnectAsync(proxy);
            return (await again.StartAsync(TestCluster.User, TestCluster.Database, TestCluster.Password)).Status == 'I';
        });
    }

    [TestCase(3 << 16 | 2, "", "196608/0")]
    [TestCase(3 << 16 | 1, "", "196608/0")]
    [TestCase(3 << 16, "_pq_.extra", "196608/1 _pq_.extra")]
    [TestCase(3 << 16, "", "")]
    public async Task NewerProtocolsAreNegotiatedDown(int version, string option, string expected)
    {
        var proxy = await StartAsync();
        using var client = await ConnectAsync(proxy);
        List<KeyValuePair<string, string>> parameters = [new("user", TestCluster.User), new("database", TestCluster.Database)];
        if (option.Length > 0)
        {
            parameters.Add(new(option, "on"));
        }

        await client.SendAsync(Startup(version, parameters));
        var first = (await client.ReadAsync())!;
        if (expected.Length == 0)
        {
            Assert.That(first.Type, Is.EqualTo('R'));
            return;
        }

        Assert.That(first.Type, Is.EqualTo('v'));
        var text = string.Create(CultureInfo.InvariantCulture, $"{ReadInt32BigEndian(first.Body)}/{ReadInt32BigEndian(first.Body.AsSpan(4))}");
        Assert.That($"{text} {Encoding.ASCII.GetString(first.Body.AsSpan(8)).TrimEnd('\0')}".TrimEnd(), Is.EqualTo(expected));
        Assert.That((await client.ReadAsync())!.Type, Is.EqualTo('R'), "and the login goes on");
    }

    [Test]
    public async Task AConsoleClientsStatementsAreBounded()
    {
        var proxy = await StartAsync();
        using var client = await ScriptedClient.LoginAsync(proxy.Port, TestCluster.User, "shardproxy", TestCluster.Password);
        var refusedAt = 0;
        for (var i = 1; i <= 1_000 && refusedAt == 0; i++)
        {
            await client.SendAsync(Frontend.Parse("SHOW NODES", $"s{i}"), Frontend.Sync());
            refusedAt = (await client.ReadUntilReadyAsync()).SqlState == "54000" ? i : 0;
        }

        Assert.That(refusedAt, Is.InRange(2, 1_000));
        await client.SendAsync(Frontend.CloseStatement("s1"), Frontend.Parse("SHOW NODES", "again"), Frontend.Sync());
        Assert.That((await client.ReadUntilReadyAsync()).SqlState, Is.Null, "what is closed makes room");
    }
}
