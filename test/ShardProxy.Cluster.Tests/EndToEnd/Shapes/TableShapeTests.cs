using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd.Shapes;

/// <summary>
/// Protects moves of tables of every shape: while ranges go from node to node and back, clients insert, update (the key too, across the border of the range that moves)
/// and delete, get no error, and in the end the rows over all nodes are those that PostgreSQL makes of the same statements, to the letter.
/// </summary>
[TestFixture]
[CancelAfter(180_000)]
internal sealed class TableShapeTests
{
    private ProxyProcess _proxy = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _proxy = await ProxyProcess.StartAsync();

    [OneTimeTearDown]
    public async Task StopAsync() => await _proxy.DisposeAsync();

    [Test]
    public async Task Tables_of_every_shape_in_one_group_move_under_writers(CancellationToken cancellationToken)
    {
        const string Code = "CREATE TABLE $.code (code int PRIMARY KEY); INSERT INTO $.code VALUES (1), (2)";
        await using var client = await Db.OpenAsync(_proxy.ConnectionString(), cancellationToken);
        await client.RunAsync("CREATE SCHEMA IF NOT EXISTS plain", cancellationToken);
        foreach (var schema in new[] { "public", "plain" })
        {
            await client.RunAsync(Code.Replace("$.", schema + ".", StringComparison.Ordinal), cancellationToken);
        }

        await using var console = await ConsoleClient.OpenAsync(_proxy, cancellationToken);
        await console.RunAsync("REPLICATE TABLE code", cancellationToken);
        var first = TableShapes.ByInteger[0].Name;
        foreach (var shape in TableShapes.ByInteger)
        {
            await CreateAsync(client, shape, cancellationToken);
            await console.RunAsync($"SHARD TABLE {shape.Name} BY HASH (id){(shape.Name == first ? "" : $" COLOCATE WITH {first}")}", cancellationToken);
        }

        await MoveUnderWritersAsync(TableShapes.ByInteger, 20260107, moves: 4, cancellationToken);
    }

    [Test]
    public async Task Keys_of_every_kind_move_under_writers(CancellationToken cancellationToken)
    {
        await using var client = await Db.OpenAsync(_proxy.ConnectionString(), cancellationToken);
        await client.RunAsync("CREATE SCHEMA IF NOT EXISTS plain", cancellationToken);
        await using var console = await ConsoleClient.OpenAsync(_proxy, cancellationToken);
        foreach (var shape in TableShapes.ByOtherKeys)
        {
            await CreateAsync(client, shape, cancellationToken);

            // Bounds of a RANGE group follow the keys that are there.
            for (var key = 0; shape.Method == "RANGE" && key < 48; key++)
            {
                foreach (var schema in new[] { "public", "plain" })
                {
                    await client.RunAsync($"INSERT INTO {schema}.{shape.Name} ({shape.Key}) VALUES ({shape.KeyOf(key)})", cancellationToken);
                }
            }

            await console.RunAsync($"SHARD TABLE {shape.Name} BY {shape.Method} ({shape.Key})", cancellationToken);
        }

        await MoveUnderWritersAsync(TableShapes.ByOtherKeys, 20260108, moves: 2, cancellationToken);
    }

    private static async Task CreateAsync(Npgsql.NpgsqlConnection client, TableShape shape, CancellationToken cancellationToken)
    {
        foreach (var schema in new[] { "public", "plain" })
        {
            await client.RunAsync(shape.Ddl.Replace("$.", schema + ".", StringComparison.Ordinal), cancellationToken);
        }
    }

    private async Task MoveUnderWritersAsync(TableShape[] shapes, int seed, int moves, CancellationToken cancellationToken)
    {
        await using var console = await ConsoleClient.OpenAsync(_proxy, cancellationToken);
        await using (var writers = ShapeWriters.Start(_proxy, shapes, 4, seed))
        {
            await Eventually.IsTrueAsync(() => Task.FromResult(writers.Cycles >= 2), TimeSpan.FromMinutes(1), "the writers do not get on", cancellationToken);
            foreach (var group in (await console.RowsAsync("SHOW RANGES", cancellationToken)).GroupBy(r => r["group"]).Where(g => shapes.Any(s => s.Name == g.Key)))
            {
                // The last range of a RANGE group has no upper bound.
                foreach (var range in new[] { group.First(), group.Last() })
                {
                    var others = _proxy.NodeNames.Where(n => n != range["node"]).Append(range["node"]!).ToList();
                    for (var i = 0; i < moves / 2; i++)
                    {
                        await console.RunAsync($"MOVE RANGE {range["id"]} TO {others[i % others.Count]}", cancellationToken);
                    }
                }
            }

            await writers.StopAsync();
            await TestContext.Out.WriteLineAsync($"{writers.Statements} statements, longest {writers.LongestMs:0} ms");
            foreach (var migration in await console.RowsAsync("SHOW MIGRATIONS", cancellationToken))
            {
                await TestContext.Out.WriteLineAsync(string.Join(", ", migration.Columns.Select(c => $"{c.Name} {c.Value}")));
                Assert.That(migration["error"], Is.Null);
            }

            await using var home = await Db.OpenAsync(_proxy.NodeConnectionString(_proxy.NodeNames[0]), cancellationToken);
            await writers.ReplayAsync(home, "plain", cancellationToken);
        }

        foreach (var shape in shapes)
        {
            await AssertAlikeAsync(shape, cancellationToken);
        }
    }

    // Row by row as text, whatever the order; a partition's row beside its partition. Ghosts of a move that can still be taken back are no rows of the table: the proxy leaves them out.
    private async Task AssertAlikeAsync(TableShape shape, CancellationToken cancellationToken)
    {
        var expected = await RowsAsync(_proxy.NodeConnectionString(_proxy.NodeNames[0]), "plain");
        var actual = await RowsAsync(_proxy.ConnectionString(), "public");
        Assert.That(actual, Is.EqualTo(expected), $"rows of {shape.Name}");

        async Task<List<string?>> RowsAsync(string connectionString, string schema)
        {
            var columns = await Db.RowsAsync(
                _proxy.NodeConnectionString(_proxy.NodeNames[0]),
                $"SELECT quote_ident(attname) AS c FROM pg_attribute WHERE attrelid = '{schema}.{shape.Name}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum", cancellationToken);
            var texts = columns.Select(c => c["c"]).Select(c => $"coalesce(({(c is "big" or "bin" or "doc" or "v" ? $"md5({c}::text)" : $"{c}::text")}), 'NULL')");
            var rows = await Db.RowsAsync(connectionString, $"SELECT concat_ws('|', {string.Join(", ", texts)}) AS r FROM {schema}.{shape.Name}", cancellationToken);
            return [.. rows.Select(r => r["r"]).Order(StringComparer.Ordinal)];
        }
    }
}
