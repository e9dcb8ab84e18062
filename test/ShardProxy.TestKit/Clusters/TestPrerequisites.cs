using NUnit.Framework;
using ShardProxy.LocalCluster;
using ShardProxy.LocalCluster.Processes;
using ShardProxy.Model.Errors;

namespace ShardProxy.TestKit.Clusters;

/// <summary>
/// What the tests need on the machine. <c>SHARDPROXY_INSTALL_MISSING=1</c> lets them install it; otherwise a test fails with the
/// exact line to type.
/// </summary>
public static class TestPrerequisites
{
    private const string Variable = "SHARDPROXY_INSTALL_MISSING";

    private static readonly SemaphoreSlim OneAtATime = new(1);
    private static bool _isChosen;

    /// <summary>The server programs; libpg_query is there too.</summary>
    public static async Task<ServerBinaries> EnsureAsync(CancellationToken cancellationToken = default)
    {
        await ChooseServerAsync(cancellationToken);
        var found = await Prerequisites.ProbeAsync(cancellationToken);
        if (found.IsComplete)
        {
            return found.Server!;
        }

        // Test assemblies run side by side: one installs, the others wait for it and then find everything there.
        await using var turn = await TurnAsync(cancellationToken);
        return await OrFailWithTheLineAsync(install => Prerequisites.EnsureAsync(install, line => TestContext.Progress.WriteLine(line), cancellationToken));
    }

    /// <summary>The server programs of another major version than the other tests run on; libpg_query is there too.</summary>
    public static async Task<ServerBinaries> EnsureVersionAsync(int major, CancellationToken cancellationToken = default)
    {
        await EnsureAsync(cancellationToken);
        await using var turn = await TurnAsync(cancellationToken);
        var programs = await TestPostgres.InstalledAsync(
            major, Environment.GetEnvironmentVariable(Variable) == "1", line => TestContext.Progress.WriteLine(line), cancellationToken);
        return new ServerBinaries(programs, major);
    }

    /// <summary>
    /// Full path of one of PostgreSQL's client programs, such as <c>psql</c>: of the servers' own version where it comes with them, else of
    /// another version on this machine.
    /// </summary>
    public static async Task<string> EnsureClientProgramAsync(string program, CancellationToken cancellationToken = default)
    {
        var server = await EnsureAsync(cancellationToken);
        return new[] { server.Directory }.Concat(ServerBinaries.VersionedDirectories(ServerBinaries.VersionedRoots)).Select(d => Path.Combine(d, program)).FirstOrDefault(File.Exists)
            ?? await EnsureProgramAsync(program, "postgresql-client", cancellationToken);
    }

    /// <summary>Full path of a further program, such as <c>promtool</c> of package <c>prometheus</c>.</summary>
    public static async Task<string> EnsureProgramAsync(string program, string package, CancellationToken cancellationToken = default)
    {
        await using var turn = await TurnAsync(cancellationToken);
        return await OrFailWithTheLineAsync(
            install => SystemProgram.EnsureAsync(program, package, install, line => TestContext.Progress.WriteLine(line), cancellationToken));
    }

    /// <summary>Packages of the system without a program to look for, such as a language's database driver.</summary>
    public static async Task EnsurePackagesAsync(IReadOnlyList<string> packages, CancellationToken cancellationToken = default)
    {
        await using var turn = await TurnAsync(cancellationToken);
        await OrFailWithTheLineAsync(async install =>
        {
            await SystemPackages.EnsureAsync(packages, install, line => TestContext.Progress.WriteLine(line), cancellationToken);
            return true;
        });
    }

    /// <summary>What a package.json and its lock file in a directory name, in the <c>node_modules</c> beside them.</summary>
    public static async Task EnsureNodePackagesAsync(string directory, CancellationToken cancellationToken = default)
    {
        await using var turn = await TurnAsync(cancellationToken);
        if (File.Exists(Path.Combine(directory, "node_modules", ".package-lock.json")))
        {
            return;
        }

        string[] command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", directory];
        if (Environment.GetEnvironmentVariable(Variable) != "1")
        {
            throw new InvalidOperationException($"a test needs packages of npm: type {string.Join(' ', command)}\nor set {Variable}=1 and have npm on the PATH");
        }

        var result = await ProcessRunner.RunAsync(command, cancellationToken: cancellationToken);
        if (result.ExitCode != 0)
        {
            throw new InvalidOperationException($"{string.Join(' ', command)} failed with exit code {result.ExitCode}:\n{result.Output}{result.ErrorOutput}");
        }
    }

    private static async Task ChooseServerAsync(CancellationToken cancellationToken)
    {
        await OneAtATime.WaitAsync(cancellationToken);
        try
        {
            if (!_isChosen)
            {
                await using var turn = await TurnAsync(cancellationToken);
                await TestPostgres.ChooseAsync(Environment.GetEnvironmentVariable(Variable) == "1", line => TestContext.Progress.WriteLine(line), cancellationToken);
                _isChosen = true;
            }
        }
        finally
        {
            OneAtATime.Release();
        }
    }

    private static async Task<T> OrFailWithTheLineAsync<T>(Func<bool, Task<T>> ensure)
    {
        try
        {
            return await ensure(Environment.GetEnvironmentVariable(Variable) == "1");
        }
        catch (ShardProxyException e)
        {
            throw new InvalidOperationException($"{e.Error.Message}\n{e.Error.Hint}\n{e.Error.Detail}\nor set {Variable}=1 (as root on Debian or Ubuntu)", e);
        }
    }

    private static async Task<FileStream> TurnAsync(CancellationToken cancellationToken)
    {
        var path = Path.Combine(Path.GetTempPath(), $"shardproxy-install-{Environment.UserName}.lock");
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), cancellationToken);
            }
        }
    }
}
