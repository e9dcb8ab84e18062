using System.Globalization;
using System.Net;
using NUnit.Framework;
using ShardProxy.DataPath;
using ShardProxy.Functional.Tests.DataPath;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Functional.Tests.Auth;

/// <summary>
/// Protects users whose passwords the proxy does not have: the home node or a file of verifiers says who they are, they reach the servers
/// as themselves, and a changed password counts at once, for those in the configuration too.
/// </summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class UserLookupTests : AuthFixture
{
    private readonly List<string> _roles = [];

    [TearDown]
    public async Task DropRolesAsync()
    {
        await StopProxiesAsync();
        foreach (var role in _roles)
        {
            await Cluster.ExecuteAsync(0, $"DROP ROLE \"{role}\"");
        }

        _roles.Clear();
    }

    [Test]
    public async Task ARoleOfTheHomeNodeLogsInAndIsItselfOnTheServers()
    {
        var role = await RoleAsync("PASSWORD 'secret'");
        var proxy = await StartAsync(Lookup);
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=disable", role), "secret", "SELECT current_user || session_user")).Output, Is.EqualTo(role + role));
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=require channel_binding=require", role), "secret", "SELECT current_user")).Output, Is.EqualTo(role));
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=disable", role), "wrong")).Errors, Does.Contain("password authentication failed"));
    }

    [Test]
    public async Task ACleartextPasswordReachesTheServersToo()
    {
        var role = await RoleAsync("PASSWORD 'secret'");
        var proxy = await StartAsync(o => Lookup(o) with { Authentication = ClientAuthentication.Password });
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=require", role), "secret", "SELECT current_user")).Output, Is.EqualTo(role));
    }

    [Test]
    public async Task AnEntryThatOnlyGivesAConsoleRoleTakesItsPasswordFromTheHomeNode()
    {
        var role = await RoleAsync("PASSWORD 'secret'");
        var proxy = await StartAsync(o => Lookup(o) with { Users = [.. o.Users, new UserCredential(role, null, IsAdmin: false) { IsMonitor = true }] });
        Assert.That(await MayLogInAsync(proxy, role, "secret"), Is.True);
        Assert.That(await MayLogInAsync(proxy, role, "wrong"), Is.False);
        using var console = await ScriptedClient.LoginAsync(proxy.Port, role, "shardproxy", "secret");
    }

    [Test]
    public async Task WhoMaySetPasswordsDoesNotBecomeAdminOfTheConsole()
    {
        var (weak, super, written) = (await RoleAsync("PASSWORD 'secret'"), await RoleAsync("SUPERUSER PASSWORD 'secret'"), await RoleAsync("PASSWORD 'secret'"));
        var proxy = await StartAsync(o => Lookup(o) with { Users = [.. o.Users, new(weak, null, IsAdmin: true), new(super, null, IsAdmin: true), new(written, "secret", IsAdmin: true)] });
        Assert.That(await ConsoleAsync(weak, "secret"), Is.EqualTo("42501 SHP-132"), "any role with CREATEROLE could have set it");
        Assert.That(await ConsoleAsync(weak, "wrong"), Is.EqualTo("28P01 SHP-106"));
        Assert.That(await MayLogInAsync(proxy, weak, "secret"), Is.True);
        Assert.That(await ConsoleAsync(super, "secret"), Is.EqualTo("in"));
        Assert.That(await ConsoleAsync(written, "secret"), Is.EqualTo("in"), "what the configuration says is its owner's");

        await Cluster.ExecuteAsync(0, $"ALTER ROLE {written} PASSWORD 'new'");
        await Waiting.UntilAsync(() => MayLogInAsync(proxy, written, "new"));
        Assert.That(await ConsoleAsync(written, "new"), Is.EqualTo("42501 SHP-132"));

        async Task<string> ConsoleAsync(string user, string password)
        {
            using var client = await ConnectAsync(proxy);
            var reply = await client.StartAsync(user, "shardproxy", password);
            return reply.Status == 'I' ? "in" : $"{reply.SqlState} {reply.Errors[0].Field('D')}";
        }
    }

    [Test]
    public async Task AnMd5HashThatTheHomeNodeKeepsOpensTheServersToo()
    {
        var role = await RoleAsync("PASSWORD NULL");
        await Cluster.ExecuteAsync(0, $"SET password_encryption = 'md5'; ALTER ROLE {role} PASSWORD 'secret'");
        var rules = await Cluster.ScalarAsync<string>(0, "SELECT pg_read_file(current_setting('hba_file'))");
        try
        {
            await WriteRulesAsync($"host all {role} all md5\n{rules}");
            var proxy = await StartAsync(o => Lookup(o) with { Authentication = ClientAuthentication.Md5 });
            Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=disable", role), "secret", "SELECT current_user")).Output, Is.EqualTo(role));
            Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=disable", role), "wrong")).Errors, Does.Contain("password authentication failed"));
        }
        finally
        {
            await WriteRulesAsync(rules!);
        }
    }

    [Test]
    public async Task WhoMayNotLogInThereMayNotHere()
    {
        var proxy = await StartAsync(Lookup);
        string[] refused =
        [
            await RoleAsync("NOLOGIN PASSWORD 'secret'"), await RoleAsync("PASSWORD 'secret' VALID UNTIL '2020-01-01'"), await RoleAsync("PASSWORD NULL"), "no_such_role",
        ];
        var transcripts = new HashSet<string>();
        foreach (var role in refused)
        {
            using var client = await ConnectAsync(proxy);
            var reply = await client.StartAsync(role, TestCluster.Database, "secret");
            transcripts.Add($"{reply.Types} {reply.SqlState} {reply.Errors[0].Field('M')!.Replace(role, "", StringComparison.Ordinal)}");
        }

        Assert.That(transcripts, Has.Count.EqualTo(1).And.Some.Contains("28P01"), "nobody learns which of them exist");
    }

    [Test]
    public async Task APasswordChangedOnTheServerCountsSoon()
    {
        var role = await RoleAsync("PASSWORD 'old'");
        var proxy = await StartAsync(Lookup);
        Assert.That(await MayLogInAsync(proxy, role, "old"), Is.True);
        await Cluster.ExecuteAsync(0, $"ALTER ROLE {role} PASSWORD 'new'");
        await Waiting.UntilAsync(() => MayLogInAsync(proxy, role, "new"));
        Assert.That(await MayLogInAsync(proxy, role, "old"), Is.False);
    }

    [Test]
    public async Task APasswordChangedThroughTheProxyCountsAtOnce()
    {
        var role = await RoleAsync("PASSWORD 'old'");
        var proxy = await StartAsync(o => Lookup(o) with { UserLookup = Lookup(o).UserLookup! with { CacheTime = TimeSpan.FromMinutes(1) } });
        Assert.That(await MayLogInAsync(proxy, role, "old"), Is.True);
        using var client = await ScriptedClient.LoginAsync(proxy.Port, TestCluster.User, TestCluster.Database, TestCluster.Password);
        Assert.That((await client.QueryAsync($"ALTER ROLE {role} PASSWORD 'new'")).SqlState, Is.Null);
        Assert.That(await MayLogInAsync(proxy, role, "new"), Is.True);
        Assert.That(await MayLogInAsync(proxy, role, "old"), Is.False);
    }

    [Test]
    public async Task AUserOfTheConfigurationIsNotLockedOutByChangingItsPasswordThroughTheProxy()
    {
        var role = await RoleAsync("PASSWORD 'old'");
        var proxy = await StartAsync(o => Lookup(o) with
        {
            Users = [.. o.Users, new UserCredential(role, "old", false)],
            UserLookup = Lookup(o).UserLookup! with { ServesUnwrittenUsers = false },
        });
        using (var client = await ScriptedClient.LoginAsync(proxy.Port, role, TestCluster.Database, "old"))
        {
            Assert.That((await client.QueryAsync($"ALTER ROLE {role} PASSWORD 'new'")).Tags, Is.EqualTo(new[] { "ALTER ROLE" }));
            Assert.That((await client.QueryAsync("SELECT 1")).SqlState, Is.Null, "who is in stays in");
        }

        // No server connection is left from before: new ones are opened with what the client proves of the new password.
        await Cluster.ExecuteAsync(0, $"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '{role}'");
        await Waiting.UntilAsync(() => MayLogInAsync(proxy, role, "new"));
        Assert.That(await MayLogInAsync(proxy, role, "old"), Is.False);
        Assert.That(await MayLogInAsync(proxy, "no_such_role", "new"), Is.False, "only who is written down logs in");
    }

    [Test]
    public async Task AFileOfVerifiersIsReadAndReadAgain()
    {
        var role = await RoleAsync("PASSWORD 'secret'");
        var verifier = await Cluster.ScalarAsync<string>(0, $"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'");
        var file = Path.Combine(Authority.Directory, "userlist.txt");
        await File.WriteAllTextAsync(file, $"; users\n\"somebody\" \"in clear\"\n\"{role}\" \"{verifier}\"\n");
        var proxy = await StartAsync(o => o with { UserFile = file });
        Assert.That((await Libpq.RunAsync(Conninfo(proxy, "sslmode=disable", role), "secret", "SELECT current_user")).Output, Is.EqualTo(role), "with keys alone");
        Assert.That(await MayLogInAsync(proxy, role, "wrong"), Is.False);

        await File.WriteAllTextAsync(file, "\"somebody\" and nothing else\n");
        Assert.That(proxy.Plane.ReloadLogins(), Has.Length.EqualTo(1).And.Some.Contains("line 1"));
        Assert.That(await MayLogInAsync(proxy, role, "secret"), Is.True, "the users before stay");

        await File.WriteAllTextAsync(file, "\"somebody\" \"else\"\n");
        Assert.That(proxy.Plane.ReloadLogins(), Is.Empty);
        Assert.That(await MayLogInAsync(proxy, role, "secret"), Is.False);
    }

    [Test]
    public async Task KeysThatDoNotFitTheNodesVerifierAreSaidSo()
    {
        var role = await RoleAsync("PASSWORD 'secret'");
        var file = Path.Combine(Authority.Directory, "other.txt");
        await File.WriteAllTextAsync(file, $"\"{role}\" \"{Wire.Auth.ScramVerifier.FromPassword("secret").ToSecretText()}\"\n");
        var proxy = await StartAsync(o => o with { UserFile = file });
        using var client = await ConnectAsync(proxy);
        var reply = await client.StartAsync(role, TestCluster.Database, "secret");
        Assert.That((reply.SqlState, reply.Errors[0].Field('D')), Is.EqualTo(("28000", "SHP-129: The password is not known, and the server's verifier is not the one the client has logged in against.")));
    }

    [Test]
    public async Task WithoutTheHomeNodeOnlyWhoIsWrittenDownIsKnown()
    {
        await using var proxy = await ProxyUnderTest.StartAsync([new IPEndPoint(IPAddress.Loopback, 1)], TestCluster.Database, null, Lookup);
        using var client = await ConnectAsync(proxy);
        var unknown = await client.StartAsync("stranger", TestCluster.Database, "x");
        Assert.That((unknown.Types, unknown.SqlState, unknown.Errors[0].Field('D')), Is.EqualTo(("E", "57P03", "SHP-127")));
        using var admin = await ConnectAsync(proxy);
        Assert.That((await admin.StartAsync(TestCluster.User, "shardproxy", TestCluster.Password)).Status, Is.EqualTo('I'), "the console opens without any node");
    }

    private static DataPathOptions Lookup(DataPathOptions options) => options with
    {
        UserLookup = new UserLookupOptions(TestCluster.User, TestCluster.Password, TestCluster.Database) { ServesUnwrittenUsers = true },
    };

    private async Task WriteRulesAsync(string rules)
    {
        var file = await Cluster.ScalarAsync<string>(0, "SELECT current_setting('hba_file')");
        var lines = rules.TrimEnd('\n').Split('\n').Select(l => $"('{l.Replace("'", "''", StringComparison.Ordinal)}')");

        // Every character of a line of these rules is its own in COPY's csv format, with a quote and a delimiter that never come.
        await Cluster.ExecuteAsync(0, $"COPY (SELECT l FROM (VALUES {string.Join(", ", lines)}) v (l)) TO '{file}' WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')");
        await Cluster.ExecuteAsync(0, "SELECT pg_reload_conf()");
    }

    private static async Task<bool> MayLogInAsync(ProxyUnderTest proxy, string user, string password)
    {
        using var client = await ConnectAsync(proxy);
        var reply = await client.StartAsync(user, TestCluster.Database, password);
        Assert.That(reply.SqlState, Is.Null.Or.EqualTo("28P01"), reply.ToString());
        return reply.Status == 'I';
    }

    private async Task<string> RoleAsync(string options)
    {
        var role = "u_" + Guid.NewGuid().ToString("n", CultureInfo.InvariantCulture)[..12];
        _roles.Add(role);
        await Cluster.ExecuteAsync(0, $"CREATE ROLE {role} {(options.StartsWith("NOLOGIN", StringComparison.Ordinal) ? "" : "LOGIN ")}{options}");
        return role;
    }
}
