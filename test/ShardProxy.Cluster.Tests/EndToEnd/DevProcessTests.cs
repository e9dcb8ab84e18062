using System.Diagnostics;
using System.Net.Sockets;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects whoever runs `dev` from a script: its lines to the character, and that a signal, even the hardest one, leaves no server
// process and, where the data is not to be kept, no directory.
[TestFixture]
internal sealed class DevProcessTests
{
    [TestCase(2)]
    [TestCase(15)]
    [CancelAfter(120_000)]
    public async Task The_ready_lines_stand_and_a_signal_ends_everything_within_two_seconds(int signal, CancellationToken cancellationToken)
    {
        var temporary = Directory.CreateTempSubdirectory("shardproxy-test-");
        OpenToServers(temporary.FullName);
        try
        {
            await using var proxy = await ProxyProcess.StartAsync(
                new ProxyProcessOptions
                {
                    User = "bench",
                    Password = "bench",
                    Database = "bench",
                    Environment = new Dictionary<string, string> { ["TMPDIR"] = temporary.FullName },
                },
                cancellationToken);
            string Port(string name) => $"{proxy.Address(name).Port}";
            Assert.That(proxy.OutputLines, Is.EqualTo(new[]
            {
                $"proxy   postgresql://bench@127.0.0.1:{Port("proxy")}/bench",
                $"console postgresql://bench@127.0.0.1:{Port("proxy")}/shardproxy",
                $"http    http://127.0.0.1:{Port("http")}/",
                $"node1   postgresql://bench@127.0.0.1:{Port("node1")}/bench",
                $"node2   postgresql://bench@127.0.0.1:{Port("node2")}/bench",
                $"node3   postgresql://bench@127.0.0.1:{Port("node3")}/bench",
                "ready",
            }));
            var servers = await PostmastersAsync(proxy, cancellationToken);
            Assert.That(servers.Select(IsAlive), Is.All.True);

            // Somebody is in the middle of something.
            await using var client = await Db.OpenAsync(proxy.ConnectionString(), cancellationToken);
            await client.RunAsync("BEGIN; CREATE TABLE t (a int)", cancellationToken);
            var began = TimeProvider.System.GetTimestamp();
            proxy.Signal(signal);
            var exitCode = await proxy.WaitForExitAsync(cancellationToken);
            var took = TimeProvider.System.GetElapsedTime(began);
            await TestContext.Out.WriteLineAsync($"signal {signal}: ended after {took.TotalMilliseconds:0} ms");
            Assert.That(exitCode, Is.Zero, proxy.Output);
            Assert.That(servers.Select(IsAlive), Is.All.False, "servers must be gone before the process is");
            Assert.That(temporary.EnumerateFileSystemInfos("shardproxy-*"), Is.Empty);
            // A promise of DESIGN section 10.
            Assert.That(took, Is.LessThan(TimeSpan.FromSeconds(2)), proxy.Output);
        }
        finally
        {
            temporary.Delete(recursive: true);
        }
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task Killing_it_ends_the_nodes_too(CancellationToken cancellationToken)
    {
        await using var proxy = await ProxyProcess.StartAsync(cancellationToken: cancellationToken);
        var ports = proxy.NodeNames.Select(n => proxy.Address(n).Port).ToList();
        var servers = await PostmastersAsync(proxy, cancellationToken);
        proxy.Signal(9);
        await proxy.WaitForExitAsync(cancellationToken);
        await Eventually.IsTrueAsync(() => Task.FromResult(!servers.Any(IsAlive)), TimeSpan.FromSeconds(20), "a server outlived its proxy", cancellationToken);
        foreach (var port in ports)
        {
            using var client = new TcpClient();
            Assert.That(async () => await client.ConnectAsync("127.0.0.1", port, cancellationToken), Throws.InstanceOf<SocketException>());
        }
    }

    [Test]
    [CancelAfter(120_000)]
    public async Task A_kept_directory_has_its_tables_sharded_as_before(CancellationToken cancellationToken)
    {
        using var data = new ServerDirectory();
        var options = new ProxyProcessOptions { DataDirectory = data.Path };
        List<RangeView> ranges;
        await using (var first = await ProxyProcess.StartAsync(options, cancellationToken))
        {
            await Db.ExecuteAsync(first.ConnectionString(), "CREATE TABLE kept (id int PRIMARY KEY, v text)", cancellationToken);
            await using var console = await ConsoleClient.OpenAsync(first, cancellationToken);
            await console.RunAsync("SHARD TABLE kept BY HASH (id)", cancellationToken);
            await Db.CopyInAsync(first.ConnectionString(), "kept (id, v)", Enumerable.Range(1, 300).Select(i => $"{i}\tv{i}"), cancellationToken);
            await console.RunAsync("MOVE RANGE 1 TO node3", cancellationToken);
            ranges = await console.RangesOfAsync("kept", cancellationToken);
            first.Signal(15);
            await first.WaitForExitAsync(cancellationToken);
        }

        await using var second = await ProxyProcess.StartAsync(options, cancellationToken);
        await using var again = await ConsoleClient.OpenAsync(second, cancellationToken);
        Assert.That(await again.RangesOfAsync("kept", cancellationToken), Is.EqualTo(ranges));
        Assert.That(await Db.ScalarAsync<long>(second.ConnectionString(), "SELECT count(*) FROM kept", cancellationToken), Is.EqualTo(300));
        Assert.That(await Db.ScalarAsync<string>(second.ConnectionString(), "SELECT v FROM kept WHERE id = 77", cancellationToken), Is.EqualTo("v77"));
        await NodeAudit.AssertSettledAsync(second, cancellationToken, ("kept", "id"));
        await again.RunAsync("MOVE RANGE 1 TO node1", cancellationToken);
    }

    private static async Task<List<int>> PostmastersAsync(ProxyProcess proxy, CancellationToken cancellationToken)
    {
        var processes = new List<int>();
        foreach (var node in proxy.NodeNames)
        {
            var file = await Db.ScalarAsync<string>(proxy.NodeConnectionString(node), "SELECT pg_read_file('postmaster.pid')", cancellationToken);
            processes.Add(int.Parse(file!.Split('\n')[0], System.Globalization.CultureInfo.InvariantCulture));
        }

        return processes;
    }

    private static bool IsAlive(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            return !process.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static void OpenToServers(string directory) =>
        File.SetUnixFileMode(directory, (UnixFileMode)0b111_111_111);
}
