using System.Net;
using NUnit.Framework;
using ShardProxy.Configuration;
using ShardProxy.DataPath;
using ShardProxy.Model.Topology;
using ShardProxy.TestKit.Tls;

namespace ShardProxy.Functional.Tests.Configuration;

// Protects who may come in: rules, certificates, users and the HTTP side's token are taken as written, and what would leave a door open or
// shut for everybody is named before anything starts.
[TestFixture]
internal sealed class AccessConfigurationTests
{
    private const string Minimal =
        """
        database: app
        nodes:
          - name: node1
            uri: postgresql://manager@10.0.0.1/app
        users:
          - name: app
            password: app-secret
            admin: true
        """;

    private TestAuthority _authority = null!;
    private TestCertificate _certificate = null!;

    [OneTimeSetUp]
    public void Issue()
    {
        _authority = new TestAuthority();
        _certificate = _authority.IssueServer();
    }

    [OneTimeTearDown]
    public void Clean() => _authority?.Dispose();

    [Test]
    public void Rules_are_taken_in_order_with_defaults()
    {
        var loaded = Load(
            """
            authentication:
              rules:
                - { type: hostssl, database: 'app, shardproxy', user: 'ann,bob', address: 10.0.0.0/8, method: scram-sha-256 }
                - { address: '::1', method: trust }
                - method: reject
            """);
        Assert.That(loaded.Problems, Is.Empty);
        var rules = loaded.Options!.Authentication.Rules;
        Assert.That(rules.Select(r => (r.Kind, string.Join('|', r.Databases), string.Join('|', r.Users), r.Addresses?.ToString(), r.Method)), Is.EqualTo(new[]
        {
            (RuleKind.HostSsl, "app|shardproxy", "ann|bob", "10.0.0.0/8", ClientAuthentication.ScramSha256),
            (RuleKind.Host, "all", "all", "::1/128", ClientAuthentication.Trust),
            (RuleKind.Host, "all", "all", null, ClientAuthentication.Reject),
        }));
    }

    [TestCase("authentication: { rules: [{ type: host }] }", "authentication.rules[1].method", "missing")]
    [TestCase("authentication: { rules: [{ method: gss }] }", "authentication.rules[1].method", "none of scram-sha-256")]
    [TestCase("authentication: { rules: [{ method: trust, address: 10.0.0.0/33 }] }", "authentication.rules[1].address", "neither an address nor a network")]
    [TestCase("authentication: { rules: [{ method: trust, address: db.example.com }] }", "authentication.rules[1].address", "neither an address nor a network")]
    [TestCase("authentication: { rules: [{ method: trust, user: ',' }] }", "authentication.rules[1].user", "empty")]
    [TestCase("authentication: { rules: [{ method: cert }] }", "authentication.rules[1].method", "listen.tls.client_ca_file")]
    [TestCase("listen: { authentication: scram-sha-256-plus }", "listen.authentication", "needs encryption")]
    [TestCase("authentication: { user_file: /nonexistent/users.txt }", "authentication.user_file", "cannot be read")]
    [TestCase("listen: { tls: { mode: require } }", "listen.tls.mode", "needs a certificate")]
    [TestCase("listen: { tls: { certificate_file: /nonexistent/server.crt } }", "listen.tls.certificate_file", "/nonexistent/server.crt")]
    [TestCase("admin: { host: 0.0.0.0 }", "admin.host", "needs a token: set admin.token_file")]
    [TestCase("node_tls: { mode: verify-full }", "nodes[1].uri", "set node_tls.root_certificate_file or sslrootcert")]
    [TestCase("node_tls: { root_certificate_file: /nonexistent/ca.crt }", "nodes[1].uri", "/nonexistent/ca.crt")]
    public void A_door_left_open_or_shut_is_named(string text, string path, string remedy)
    {
        var problem = Load(text).Problems.Single();
        Assert.That(problem.Path, Is.EqualTo(path));
        Assert.That(problem.Message, Does.Contain(remedy));
    }

    [Test]
    public void A_certificate_switches_encryption_on_and_has_to_fit_its_key()
    {
        var loaded = Load($"listen: {{ tls: {{ certificate_file: {_certificate.CertificateFile}, key_file: {_certificate.KeyFile} }} }}");
        Assert.That(loaded.Problems, Is.Empty);
        Assert.That(loaded.Options!.Tls, Is.Not.Null.And.Property("IsRequired").False);
        Assert.That(loaded.Values.Find("listen.tls.mode")!.Text, Is.EqualTo("allow"));

        var other = _authority.IssueServer("other");
        var wrong = Load($"listen: {{ tls: {{ certificate_file: {_certificate.CertificateFile}, key_file: {other.KeyFile} }} }}");
        Assert.That(wrong.Problems.Single().Message, Does.Contain("does not belong to the certificate"));
    }

    [Test]
    public void Node_encryption_comes_from_the_uri_and_else_from_the_section()
    {
        var ca = _authority.CertificateFile;
        var loaded = Load($"node_tls: {{ mode: require }}", $"postgresql://manager@10.0.0.1/app?sslmode=verify-full&sslrootcert={Uri.EscapeDataString(ca)}");
        Assert.That(loaded.Problems, Is.Empty);
        Assert.That(loaded.Options!.HomeNode.Address.Tls, Is.EqualTo(new NodeTls(NodeTlsMode.VerifyFull, ca)));
        Assert.That(Load("node_tls: { mode: require }").Options!.HomeNode.Address.Tls.Mode, Is.EqualTo(NodeTlsMode.Require));
        Assert.That(Load("").Options!.HomeNode.Address.Tls, Is.EqualTo(NodeTls.Preferred));
        Assert.That(Load("", "postgresql://manager@10.0.0.1/app?sslmode=strict").Problems.Single().Message, Does.Contain("sslmode is none of"));
        Assert.That(Load("", "postgresql://manager@10.0.0.1/app?connect_timeout=3").Problems.Single().Message, Does.Contain("not supported here"));
    }

    [Test]
    public void The_http_side_leaves_loopback_with_a_token_and_warns_of_one_in_clear()
    {
        var clear = Load("admin: { host: 0.0.0.0, token: hush }");
        Assert.That(clear.Problems, Is.Empty);
        Assert.That(clear.Warnings.Single(), Does.Contain("token crosses the network in clear"));
        var encrypted = Load($"admin: {{ host: 0.0.0.0, token: hush, tls: {{ certificate_file: {_certificate.CertificateFile}, key_file: {_certificate.KeyFile} }} }}");
        Assert.That((encrypted.Problems.Count, encrypted.Warnings.Count), Is.EqualTo((0, 0)));
        Assert.That(encrypted.Options!.Admin.Address, Is.EqualTo(IPAddress.Any));
        Assert.That($"{encrypted.Options}", Does.Not.Contain("hush"));
    }

    [Test]
    public void A_user_needs_no_password_where_it_is_looked_up()
    {
        var text = Minimal.Replace("    password: app-secret\n", "", StringComparison.Ordinal);
        Assert.That(LoadText(text).Problems.Single().Path, Is.EqualTo("users[1].password"));
        Assert.That(LoadText(text + "\nauthentication: { query: { enabled: true } }\n").Problems, Is.Empty);
        Assert.That(LoadText(Minimal[..Minimal.IndexOf("users:", StringComparison.Ordinal)] + "\nauthentication: { query: { enabled: true } }\n").Problems, Is.Empty);
    }

    [Test]
    public void Sections_within_sections_and_lists_read_back_as_they_were()
    {
        var loaded = Load(
            $$"""
            listen: { tls: { certificate_file: {{_certificate.CertificateFile}}, key_file: {{_certificate.KeyFile}} }, port: 7000 }
            authentication:
              allow_cleartext: true
              rules: [{ user: ann, method: md5 }, { user: bob, method: password }]
              query: { enabled: true, cache_ms: 7 }
            """);
        var printed = new StringWriter();
        EffectiveConfiguration.Write(loaded.Values, printed);
        var again = LoadText(printed.ToString());
        Assert.That(again.Problems, Is.Empty, printed.ToString());
        Assert.That(again.Options!.Tls, Is.EqualTo(loaded.Options!.Tls));
        Assert.That(again.Options.Listen.Port, Is.EqualTo(7000));
        Assert.That(again.Options.Authentication.Rules.Select(r => (r.Users[0], r.Method)), Is.EqualTo(loaded.Options.Authentication.Rules.Select(r => (r.Users[0], r.Method))));
        Assert.That(again.Options.Authentication.LookupCacheTime, Is.EqualTo(TimeSpan.FromMilliseconds(7)));
    }

    private static LoadedConfiguration Load(string added, string? uri = null) =>
        LoadText(Minimal.Replace("postgresql://manager@10.0.0.1/app", uri ?? "postgresql://manager@10.0.0.1/app", StringComparison.Ordinal) + "\n" + added + "\n");

    private static LoadedConfiguration LoadText(string text) => ConfigurationLoader.Load(new StringReader(text), "shardproxy.yaml", new Dictionary<string, string>());
}
