using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;
using static ShardProxy.TestKit.Wire.Frontend;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects the proxy's memory: who does not read stops its server, and a server that does not read stops its client; neither fills the
// proxy, and the others are served as usual.
[TestFixture]
internal sealed class BackpressureTests
{
    private const int Stalled = 50;
    private const long MaxGrowthBytes = 50L << 20;

    private ProxyProcess _proxy = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        // As a user starts it: the pool has 20 servers and a reserve.
        _proxy = await ProxyProcess.StartAsync(new ProxyProcessOptions { Nodes = 1 });
        await using var direct = await Db.OpenAsync(Direct, CancellationToken.None);
        await direct.RunAsync("CREATE TABLE filled (line text)", CancellationToken.None);
    }

    [OneTimeTearDown]
    public async Task StopAsync() => await _proxy.DisposeAsync();

    [Test]
    [CancelAfter(300_000)]
    public Task Clients_that_stop_reading_a_large_result_stop_their_servers(CancellationToken cancellationToken) =>
        StallAsync(
            "ClientWrite",
            client => client.SendAsync(Query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)")),
            cancellationToken);

    [Test]
    [CancelAfter(300_000)]
    public Task Clients_that_stop_reading_one_gigantic_row_stop_their_servers(CancellationToken cancellationToken) =>
        StallAsync("ClientWrite", client => client.SendAsync(Query($"SELECT repeat('x', {SocketBuffersBytes() + (20 << 20)})")), cancellationToken, stalled: 10);

    [Test]
    [CancelAfter(300_000)]
    public Task Clients_that_send_a_pipeline_and_never_read_are_not_read_either(CancellationToken cancellationToken)
    {
        var pipeline = Enumerable.Range(0, 500).SelectMany(_ => new[] { Parse("SELECT repeat('x', 100000)"), Bind(), Execute() }).ToArray();
        return StallAsync("ClientWrite", client => SendForEverAsync(client, pipeline), cancellationToken);
    }

    [Test]
    [CancelAfter(300_000)]
    public async Task Clients_that_copy_into_a_stalled_server_are_not_read(CancellationToken cancellationToken)
    {
        await using var holder = await Db.OpenAsync(Direct, cancellationToken);
        await holder.RunAsync("BEGIN; LOCK TABLE filled", cancellationToken);
        var data = CopyData(string.Concat(Enumerable.Repeat(new string('y', 999) + "\n", 60)));
        await StallAsync(
            "Lock",
            async client =>
            {
                await client.SendAsync(Query("COPY filled FROM STDIN"));

                // As a client does that has read the statement's reply before.
                await SendForEverAsync(client, [.. Enumerable.Repeat(data, 100)]);
            },
            cancellationToken);
    }

    private string Direct => _proxy.NodeConnectionString("node1");

    private async Task StallAsync(string waitEvent, Func<ScriptedClient, Task> begin, CancellationToken cancellationToken, int stalled = Stalled)
    {
        var clients = new List<ScriptedClient>();
        try
        {
            for (var i = 0; i < stalled; i++)
            {
                clients.Add(await ScriptedClient.LoginAsync(_proxy.Address("proxy").Port, TestCluster.User, TestCluster.Database, TestCluster.Password, cancellationToken));
                await clients[^1].QueryAsync("SELECT repeat('x', 100000)", cancellationToken);
            }

            var before = ResidentBytes();
            foreach (var client in clients)
            {
                _ = IgnoreAsync(begin(client));
            }

            await using var direct = await Db.OpenAsync(Direct, cancellationToken);
            var question = $"SELECT count(*) FROM pg_stat_activity WHERE datname = '{TestCluster.Database}' AND (wait_event = '{waitEvent}' OR wait_event_type = '{waitEvent}')";
            try
            {
                while (int.Parse((await direct.RowsAsync(question, cancellationToken)).Single().Columns[0].Value!, CultureInfo.InvariantCulture) < stalled)
                {
                    await direct.RowsAsync("SELECT pg_sleep(0.01)", cancellationToken);
                }
            }
            catch (OperationCanceledException)
            {
                await TellWhereTheyAreAsync();
                throw;
            }

            // Stable means that nothing moves any more: the same memory in many looks in a row, each after a question.
            long resident = 0;
            for (var same = 0; same < 50;)
            {
                await direct.RowsAsync("SELECT pg_sleep(0.01)", cancellationToken);
                var now = ResidentBytes();
                same = Math.Abs(now - resident) < 1 << 20 ? same + 1 : 0;
                resident = now;
            }

            await TestContext.Out.WriteLineAsync($"{stalled} stalled clients: {before >> 20} MiB before, {resident >> 20} MiB after");
            Assert.That(resident - before, Is.LessThan(MaxGrowthBytes));

            using var next = await ScriptedClient.LoginAsync(_proxy.Address("proxy").Port, TestCluster.User, TestCluster.Database, TestCluster.Password, cancellationToken);
            Assert.That((await next.QueryAsync("SELECT 1", cancellationToken)).Rows[0][0], Is.EqualTo("1"), "the next client is served as usual");
        }
        finally
        {
            clients.ForEach(c => c.Reset());
            clients.ForEach(c => c.Dispose());
        }
    }

    // Not all stalled where they should: what the servers and the pools say tells why.
    private async Task TellWhereTheyAreAsync()
    {
        await using var direct = await Db.OpenAsync(Direct, CancellationToken.None);
        foreach (var row in await direct.RowsAsync(
            "SELECT state, wait_event_type, wait_event, left(query, 40) AS query, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3, 4 ORDER BY 5", CancellationToken.None))
        {
            await TestContext.Out.WriteLineAsync(string.Join(" | ", row.Columns.Select(c => c.Value)));
        }

        await using var console = await Db.OpenAsync(_proxy.ConsoleConnectionString, CancellationToken.None);
        foreach (var row in await console.RowsAsync("SHOW POOLS", CancellationToken.None))
        {
            await TestContext.Out.WriteLineAsync(string.Join(" | ", row.Columns.Select(c => c.Value)));
        }
    }

    private static async Task SendForEverAsync(ScriptedClient client, byte[][] messages)
    {
        for (var i = 0; i < 20; i++)
        {
            await client.SendAsync(messages);
        }
    }

    // It never comes to its end: the client is cut off while it sends.
    private static async Task IgnoreAsync(Task sending)
    {
        try
        {
            await sending;
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or TimeoutException or OperationCanceledException)
        {
        }
    }

    // What the kernel can hold of one result on its way through two sockets, as it sizes their buffers by itself: a server whose whole row
    // fits in there is not stopped by anybody.
    private static int SocketBuffersBytes() => 2 * new[] { "tcp_rmem", "tcp_wmem" }
        .Sum(name => int.Parse(File.ReadAllText($"/proc/sys/net/ipv4/{name}").Split('\t', ' ')[^1], CultureInfo.InvariantCulture));

    private long ResidentBytes()
    {
        using var process = Process.GetProcessById(_proxy.ProcessId);
        return process.WorkingSet64;
    }
}
