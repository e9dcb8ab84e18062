using Npgsql;
using NUnit.Framework;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.Admin;

// Protects the admin side of the whole proxy: Npgsql with its defaults works on the console, and Prometheus accepts what a proxy with traffic serves.
internal sealed class LiveAdminTests
{
    private ProxyProcess _proxy = null!;
    private HttpClient _http = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _proxy = await ProxyProcess.StartAsync(new ProxyProcessOptions { Nodes = 2 });
        _http = new HttpClient { BaseAddress = _proxy.Http };
        await using var clients = NpgsqlDataSource.Create(_proxy.ConnectionString());
        await RunAsync(clients, "CREATE TABLE admin_probe (id bigint PRIMARY KEY, note text)");
        await using var console = NpgsqlDataSource.Create(_proxy.ConsoleConnectionString);
        await RunAsync(console, "SHARD TABLE admin_probe BY HASH (id)");
        for (var i = 0; i < 50; i++)
        {
            await using var insert = clients.CreateCommand("INSERT INTO admin_probe VALUES ($1, 'x')");
            insert.Parameters.Add(new NpgsqlParameter { Value = (long)i });
            await insert.ExecuteNonQueryAsync();
        }
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        _http?.Dispose();
        if (_proxy is not null)
        {
            await _proxy.DisposeAsync();
        }
    }

    [Test]
    public async Task TheConsoleListsRangesInOrder()
    {
        await using var console = NpgsqlDataSource.Create(_proxy.ConsoleConnectionString);
        await using var command = console.CreateCommand("SHOW RANGES");
        await using var reader = await command.ExecuteReaderAsync();
        var columns = Enumerable.Range(0, reader.FieldCount).Select(reader.GetName).ToArray();
        var bounds = new List<(string From, string? To)>();
        while (await reader.ReadAsync())
        {
            bounds.Add((reader.GetString(2), await reader.IsDBNullAsync(3) ? null : reader.GetString(3)));
        }

        Assert.Multiple(() =>
        {
            Assert.That(columns, Is.EqualTo(new[] { "id", "group", "from", "to", "node", "state", "rows", "bytes", "load" }));
            Assert.That(bounds, Has.Count.EqualTo(8), "4 ranges per node");
            Assert.That(bounds.Skip(1).Select(b => b.From), Is.EqualTo(bounds.SkipLast(1).Select(b => b.To)));
            Assert.That(bounds[^1].To, Is.Null);
        });
    }

    [Test]
    public async Task AConsoleMistakeHasItsPositionAndAHint()
    {
        await using var console = NpgsqlDataSource.Create(_proxy.ConsoleConnectionString);
        var error = Assert.ThrowsAsync<PostgresException>(() => RunAsync(console, "MOVE RNAGE 1 TO node2"))!;
        Assert.That((error.SqlState, error.Position), Is.EqualTo(("42601", 6)));
        Assert.That(error.Hint, Does.Contain("MOVE RANGE id TO node"));
    }

    [Test]
    public async Task PromtoolAcceptsWhatALiveProxyServes()
    {
        var text = await _http.GetStringAsync(new Uri("metrics", UriKind.Relative));
        var served = text.Split('\n').Where(l => l.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(l => l.Split(' ')[2]);
        Assert.That(served, Is.SupersetOf(new[]
        {
            "shardproxy_requests_total", "shardproxy_request_duration_seconds", "shardproxy_range_requests_total", "shardproxy_sessions",
            "shardproxy_pool_connections", "shardproxy_routing_epoch", "shardproxy_ranges", "shardproxy_node_up", "process_cpu_seconds_total",
        }));
        Assert.That(await Promtool.CheckAsync(text), Is.Empty);
    }

    [Test]
    public async Task ALiveProxyIsReady()
    {
        using var response = await _http.GetAsync(new Uri("readyz", UriKind.Relative));
        Assert.That(response.IsSuccessStatusCode, Is.True, await response.Content.ReadAsStringAsync());
    }

    private static async Task RunAsync(NpgsqlDataSource source, string statement)
    {
        await using var command = source.CreateCommand(statement);
        await command.ExecuteNonQueryAsync();
    }
}
