using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.Drivers;

// Protects users of other languages: a program of each well-known driver prints the same lines directly on PostgreSQL, through the proxy on an
// unsharded database, and through it on one with a table over three nodes. A line that differs is a difference users see.
[TestFixture]
internal sealed class DriverTests
{
    private const string Rows = "CREATE TABLE accounts (id bigint PRIMARY KEY, owner text NOT NULL, amount numeric NOT NULL); INSERT INTO accounts SELECT i, 'o' || i, i * 1.5 FROM generate_series(1, 100) i";

    // One installation for all: the drivers as Debian has them.
    private static readonly string[] Packages =
    [
        "python3-psycopg2", "python3-psycopg", "libdbd-pg-perl", "php-cli", "php-pgsql", "ruby", "ruby-pg", "golang-go", "golang-github-lib-pq-dev", "golang-github-jackc-pgx-v4-dev",
    ];

    private static readonly DriverProgram[] Programs =
    [
        new("node-postgres", "node", "node/exercise.js"),
        new("psycopg2", "/usr/bin/python3", "python/psycopg2_exercise.py"),
        new("psycopg3", "/usr/bin/python3", "python/psycopg3_exercise.py"),
        new("DBD::Pg", "/usr/bin/perl", "perl/exercise.pl"),
        new("PHP", "php", "php/exercise.php"),
        new("Ruby", "/usr/bin/ruby", "ruby/exercise.rb"),
        new("lib/pq and pgx", Path.Combine(DriverProgram.Directory, "go", "exercise")),
    ];

    private ProxyProcess _proxy = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        await TestPrerequisites.EnsurePackagesAsync(Packages);
        await TestPrerequisites.EnsureNodePackagesAsync(Path.Combine(DriverProgram.Directory, "node"));
        await BuildGoAsync();
        _proxy = await ProxyProcess.StartAsync();
        await Db.ExecuteAsync(_proxy.NodeConnectionString("node1"), "CREATE DATABASE direct", CancellationToken.None);
        await Db.ExecuteAsync(_proxy.NodeConnectionString("node1"), "CREATE DATABASE unsharded", CancellationToken.None);
        await Db.ExecuteAsync(_proxy.NodeConnectionString("node1", "direct"), Rows, CancellationToken.None);
        await Db.ExecuteAsync(_proxy.ConnectionString("unsharded"), Rows, CancellationToken.None);
        await Db.ExecuteAsync(_proxy.ConnectionString(), Rows, CancellationToken.None);
        await Db.ExecuteAsync(_proxy.ConsoleConnectionString, "SHARD TABLE accounts BY HASH (id)", CancellationToken.None);
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        if (_proxy is not null)
        {
            await _proxy.DisposeAsync();
        }
    }

    [TestCaseSource(nameof(Cases))]
    [CancelAfter(200_000)]
    public async Task The_same_program_prints_the_same_lines(DriverProgram program, CancellationToken cancellationToken)
    {
        var direct = await program.RunAsync(_proxy.NodeConnectionString("node1", "direct"), cancellationToken);
        Assert.That(direct.ExitCode, Is.Zero, $"{direct.Output}\n{direct.Errors}");
        var expected = Lines(direct);
        Assert.That(expected, Has.Length.GreaterThan(20));
        foreach (var (place, target) in new[] { ("an unsharded database", _proxy.ConnectionString("unsharded")), ("a sharded database", _proxy.ConnectionString()) })
        {
            var proxied = await program.RunAsync(target, cancellationToken);
            Assert.That(Differences(expected, Lines(proxied)), Is.Empty, $"through the proxy, {place}\n{proxied.Errors}");
            Assert.That(proxied.ExitCode, Is.Zero, proxied.Errors);
        }
    }

    private static IEnumerable<TestCaseData> Cases() => Programs.Select(p => new TestCaseData(p).SetArgDisplayNames(p.Name));

    private static string[] Differences(string[] direct, string[] proxied) =>
        [.. Enumerable.Range(0, Math.Max(direct.Length, proxied.Length)).Select(i => (Direct: direct.ElementAtOrDefault(i), Proxied: proxied.ElementAtOrDefault(i)))
            .Where(p => p.Direct != p.Proxied).Select(p => $"{p.Proxied ?? "nothing"} instead of {p.Direct ?? "nothing"}")];

    private static string[] Lines(ProgramResult result) => result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static async Task BuildGoAsync()
    {
        var sources = Path.Combine(DriverProgram.Directory, "go");
        var cache = Path.Combine(sources, "cache");
        var built = await new DriverProgram(
            "go", "/usr/bin/env", "GO111MODULE=off", "GOPATH=/usr/share/gocode", "CGO_ENABLED=0", $"GOCACHE={cache}",
            "go", "build", "-o", Path.Combine(sources, "exercise"), Path.Combine(sources, "exercise.go")).RunAsync("Host=none", CancellationToken.None);
        Assert.That(built.ExitCode, Is.Zero, built.Errors);
    }
}
