using NUnit.Framework;
using ShardProxy.LocalCluster;
using ShardProxy.LocalCluster.Setup;
using ShardProxy.Model.Errors;

namespace ShardProxy.Unit.Tests.LocalCluster;

// Protects the first minute of a new user: the right server is found, the install line is exact, and installing changes
// nothing on the system but the packages.
[TestFixture]
[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
internal sealed class SetupTests
{
    private static readonly HostSystem Bookworm = new("debian", "bookworm", HasApt: true, IsMacOS: false, IsRoot: true);

    private string _root = "";

    [SetUp]
    public void CreateRoot() => _root = Directory.CreateTempSubdirectory("shardproxy-unit-").FullName;

    [TearDown]
    public void DeleteRoot() => Directory.Delete(_root, recursive: true);

    [Test]
    public void Versioned_directories_come_highest_first_and_old_ones_not_at_all()
    {
        foreach (var name in new[] { "9.6", "14", "15", "17", "postgresql@16", "pgsql-18", "postgresql-common", "16" })
        {
            Directory.CreateDirectory(Path.Combine(_root, name, "bin"));
        }

        Directory.CreateDirectory(Path.Combine(_root, "19"));
        var found = ServerBinaries.VersionedDirectories([_root, Path.Combine(_root, "none")]).Select(d => Path.GetFileName(Path.GetDirectoryName(d))).ToList();
        Assert.That(found.Order(), Is.EqualTo(new[] { "15", "16", "17", "pgsql-18", "postgresql@16" }));
        Assert.That(found[0], Is.EqualTo("pgsql-18"));
        Assert.That(found[^1], Is.EqualTo("15"));
    }

    [Test]
    public void A_chosen_directory_without_a_server_is_an_error_and_not_ignored()
    {
        var error = Assert.ThrowsAsync<ShardProxyException>(() => ServerBinaries.FindAsync(_root, [], CancellationToken.None));
        Assert.That(error!.Error.Code, Is.EqualTo("SHP-708"));
    }

    [Test]
    public void A_server_older_than_15_is_not_taken()
    {
        File.WriteAllText(Path.Combine(_root, "initdb"), "");
        var server = Path.Combine(_root, "postgres");
        File.WriteAllText(server, "#!/bin/sh\necho 'postgres (PostgreSQL) 14.11'\n");
        File.SetUnixFileMode(server, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Assert.That(Assert.ThrowsAsync<ShardProxyException>(() => ServerBinaries.FindAsync(_root, [], CancellationToken.None))!.Error.Code, Is.EqualTo("SHP-708"));

        File.WriteAllText(server, "#!/bin/sh\necho 'postgres (PostgreSQL) 16.2 (Debian 16.2-1)'\n");
        Assert.That(ServerBinaries.FindAsync(_root, [], CancellationToken.None).Result!.MajorVersion, Is.EqualTo(16));
    }

    [Test]
    public async Task The_install_line_names_only_what_is_missing()
    {
        var server = new ServerBinaries("/somewhere/bin", 15);
        Assert.That(
            await new Prerequisites(null, null).InstallLineAsync(Bookworm, CancellationToken.None),
            Is.EqualTo("apt-get update && apt-get install -y --no-install-recommends postgresql-15 libpg-query1504.0"));
        Assert.That(
            await new Prerequisites(server, null).InstallLineAsync(Bookworm with { IsRoot = false }, CancellationToken.None),
            Is.EqualTo("sudo apt-get update && sudo apt-get install -y --no-install-recommends libpg-query1504.0"));
        Assert.That(
            await new Prerequisites(null, "/lib/libpg_query.so").InstallLineAsync(Bookworm with { CodeName = "noble" }, CancellationToken.None),
            Is.EqualTo("apt-get update && apt-get install -y --no-install-recommends postgresql"));
        Assert.That(
            await new Prerequisites(null, null).InstallLineAsync(new HostSystem("", "", HasApt: false, IsMacOS: true, IsRoot: false), CancellationToken.None),
            Is.EqualTo("brew install postgresql@17 libpg_query"));
    }

    [Test]
    public void The_newest_parser_package_is_chosen_by_version_not_by_spelling()
    {
        const string Search = "libpg-query-dev - headers\nlibpg-query900.0 - C library\nlibpg-query1504.0 - C library\nlibpg-query1700.1 - C library\n";
        Assert.That(PackageNames.Newest(Search), Is.EqualTo("libpg-query1700.1"));
        Assert.That(PackageNames.Newest("libpg-query-dev - headers\n"), Is.Null);
    }

    [Test]
    public void The_parser_library_is_found_by_its_soname_and_a_chosen_one_must_exist()
    {
        var library = Path.Combine(_root, "libpg_query.so.1504.0");
        Assert.That(ParserLibrary.Find(null, [_root]), Is.Null);
        File.WriteAllText(library, "");
        Assert.That(ParserLibrary.Find(null, [_root]), Is.EqualTo(library));
        Assert.That(ParserLibrary.Find(Path.Combine(_root, "missing.so"), [_root]), Is.Null);
    }

    [Test]
    public void Install_guards_leave_a_bare_system_as_it_was()
    {
        Directory.CreateDirectory(Path.Combine(_root, "etc"));
        using (new InstallGuards(_root).Raise())
        {
            Assert.That(File.ReadAllText(Path.Combine(_root, "etc/postgresql-common/createcluster.d/zz-shardproxy.conf")), Does.Contain("create_main_cluster = false"));
            Assert.That(File.ReadAllText(Path.Combine(_root, "usr/sbin/policy-rc.d")), Does.EndWith("exit 101\n"));
            Assert.That(File.GetUnixFileMode(Path.Combine(_root, "usr/sbin/policy-rc.d")).HasFlag(UnixFileMode.OtherExecute), Is.True);
        }

        Assert.That(Directory.EnumerateFileSystemEntries(_root, "*", SearchOption.AllDirectories), Is.EqualTo(new[] { Path.Combine(_root, "etc") }));
    }

    [Test]
    public void Install_guards_give_back_the_administrators_policy_and_keep_the_packages_files()
    {
        var policy = Path.Combine(_root, "usr/sbin/policy-rc.d");
        Directory.CreateDirectory(Path.GetDirectoryName(policy)!);
        File.WriteAllText(policy, "theirs");
        var shipped = Path.Combine(_root, "etc/postgresql-common/createcluster.conf");
        using (new InstallGuards(_root).Raise())
        {
            File.WriteAllText(shipped, "shipped");
        }

        Assert.That(File.ReadAllText(policy), Is.EqualTo("theirs"));
        Assert.That(File.ReadAllText(shipped), Is.EqualTo("shipped"));
        Assert.That(Directory.Exists(Path.Combine(_root, "etc/postgresql-common/createcluster.d")), Is.False);
    }
}
