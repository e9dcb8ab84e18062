using System.Globalization;
using Npgsql;
using NUnit.Framework;
using ShardProxy.LocalCluster;
using ShardProxy.LocalCluster.Processes;
using ShardProxy.LocalCluster.Servers;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.LocalCluster;

// Protects users' machines: when the process that owns a server is killed with -9 and can clean up nothing, the server ends all the
// same and a temporary directory goes.
[TestFixture]
internal sealed class WatchdogTests
{
    private const int SignalKill = 9;

    [Test]
    [CancelAfter(60_000)]
    public async Task A_server_ends_and_its_directory_goes_when_the_owner_is_killed(CancellationToken cancellationToken)
    {
        var binaries = await TestPrerequisites.EnsureAsync(cancellationToken);
        var account = ServerAccount.Resolve();
        var root = Directory.CreateTempSubdirectory("shardproxy-").FullName;
        account.TakeOver(root);
        var options = new LocalClusterOptions { Databases = ["app"], Binaries = binaries };
        var data = Path.Combine(root, "node1");
        await new DataDirectory(binaries, account, options).PrepareAsync("node1", data, cancellationToken);
        var port = new PortPicker(Environment.ProcessId + 1).Take();

        // The owner holds the other end of the watchdog's input and nothing else, as our own process does.
        const string Pipeline = """/bin/sh -c 'echo "$$" >"$0"; exec sleep 600' "$0" | "$@" """;
        var ownerFile = Path.Combine(root, "owner");
        IEnumerable<string> server =
            account.Wrap(["/bin/sh", "-c", Watchdog.Script, "watchdog", data + ".log", data, binaries.Program("postgres"), "-D", data, "-p", port.ToString(CultureInfo.InvariantCulture)]);
        var pipeline = ProcessRunner.RunAsync(["/bin/sh", "-c", Pipeline, ownerFile, .. server], cancellationToken: cancellationToken);
        await UntilAsync(() => File.Exists(Path.Combine(data, "postmaster.pid")) && File.ReadAllText(Path.Combine(data, "postmaster.pid")).Contains("ready", StringComparison.Ordinal), cancellationToken);
        var serverId = int.Parse((await File.ReadAllLinesAsync(Path.Combine(data, "postmaster.pid"), cancellationToken))[0], CultureInfo.InvariantCulture);
        await using var client = new NpgsqlConnection($"Host=127.0.0.1;Port={port};Username=postgres;Password=postgres;Database=app;Pooling=false");
        await client.OpenAsync(cancellationToken);

        var owner = int.Parse(await File.ReadAllTextAsync(ownerFile, cancellationToken), CultureInfo.InvariantCulture);
        File.Delete(ownerFile);
        Assert.That(NativeMethods.Kill(owner, SignalKill), Is.Zero);

        await UntilAsync(() => NativeMethods.Kill(serverId, 0) != 0 && !Directory.Exists(root), cancellationToken);
        await pipeline;
    }

    private static async Task UntilAsync(Func<bool> condition, CancellationToken cancellationToken)
    {
        while (!condition())
        {
            await Task.Delay(20, cancellationToken);
        }
    }
}
