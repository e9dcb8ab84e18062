using Npgsql;
using NUnit.Framework;

namespace ShardProxy.Functional.Tests.DataPath;

/// <summary>
/// Protects applications that use a real driver: Npgsql with its type loading, prepared statements, batches, transactions, pooled connections
/// that reset themselves, and binary COPY, on every kind of table.
/// </summary>
[TestFixture(1)]
[TestFixture(4)]
internal sealed class NpgsqlClientTests(int poolSize) : DataPathFixture
{
    protected override Placement Tables { get; } = new Placement().Sharded("a", "id int4, v text", "id").Replicated("ref", "id int4, v text");

    protected override string Ddl => "CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE ref (id int PRIMARY KEY, v text);";

    protected override string HomeDdl => "CREATE TYPE mood AS ENUM ('happy'); CREATE TABLE plain (id int PRIMARY KEY, v text, m mood, t timestamptz, b bytea, n numeric, js jsonb, arr int[])";

    protected override int PoolSize => poolSize;

    [SetUp]
    public async Task EmptyAsync()
    {
        await DirectOnAllAsync("TRUNCATE a, ref");
        await DirectAsync(0, "TRUNCATE plain");
    }

    [Test]
    public async Task TypesArriveWhole()
    {
        await using var command = Proxy.Source.CreateCommand("INSERT INTO plain VALUES ($1, $2, $3::mood, $4, $5, $6, $7::jsonb, $8) RETURNING id, v, t, b, n, js, arr");
        var now = new DateTime(2024, 2, 29, 12, 0, 0, DateTimeKind.Utc);
        foreach (var value in new object[] { 1, "ä€", "happy", now, new byte[] { 0, 1, 255 }, 12345.678m, "{\"k\": 1}", new[] { 1, 2, 3 } })
        {
            command.Parameters.AddWithValue(value);
        }

        await using var reader = await command.ExecuteReaderAsync();
        Assert.That(await reader.ReadAsync(), Is.True);
        Assert.That(
            (reader.GetInt32(0), reader.GetString(1), reader.GetDateTime(2), reader.GetFieldValue<byte[]>(3), reader.GetDecimal(4), reader.GetString(5), reader.GetFieldValue<int[]>(6)),
            Is.EqualTo((1, "ä€", now, new byte[] { 0, 1, 255 }, 12345.678m, "{\"k\": 1}", new[] { 1, 2, 3 })));
    }

    [Test]
    public async Task PreparedStatementsBatchesAndTransactions()
    {
        // As many as servers: with fewer, transactions over two nodes can wait for each other.
        await Task.WhenAll(Enumerable.Range(0, PoolSize).Select(async worker =>
        {
            for (var round = 0; round < 5; round++)
            {
                await using var connection = await Proxy.Source.OpenConnectionAsync();
                await using var insert = new NpgsqlCommand("INSERT INTO a VALUES (@id, @v)", connection) { Parameters = { new("id", (object)-1), new("v", "") } };
                await insert.PrepareAsync();
                await using (var transaction = await connection.BeginTransactionAsync())
                {
                    for (var i = 0; i < 5; i++)
                    {
                        insert.Parameters[0].Value = (worker * 1000) + (round * 10) + i;
                        insert.Parameters[1].Value = "v" + i;
                        Assert.That(await insert.ExecuteNonQueryAsync(), Is.EqualTo(1));
                    }

                    await transaction.SaveAsync("s");
                    insert.Parameters[0].Value = (worker * 1000) + (round * 10);
                    Assert.That(async () => await insert.ExecuteNonQueryAsync(), Throws.TypeOf<PostgresException>().With.Property("SqlState").EqualTo("23505"));
                    await transaction.RollbackAsync("s");
                    await transaction.CommitAsync();
                }

                await using var select = new NpgsqlCommand("SELECT v FROM a WHERE id = @id", connection) { Parameters = { new("id", (worker * 1000) + (round * 10) + 3) } };
                await select.PrepareAsync();
                Assert.That(await select.ExecuteScalarAsync(), Is.EqualTo("v3"));
                await using var batch = new NpgsqlBatch(connection)
                {
                    BatchCommands = { new("SELECT 1"), new("SELECT count(*) FROM plain"), new("SELECT v FROM ref WHERE id = 0") },
                };
                await using var reader = await batch.ExecuteReaderAsync();
                Assert.That(await reader.ReadAsync(), Is.True);
            }
        }));
        await using var count = Proxy.Source.CreateCommand("SELECT count(*) FROM a");
        Assert.That(await count.ExecuteScalarAsync(), Is.EqualTo(25L * PoolSize));
        Assert.That(Proxy.Plane.Sessions().Where(s => s.IsPinned).Select(s => s.PinReason), Is.Empty, "an ordinary driver's session keeps a server");
    }

    [Test]
    public async Task AReusedConnectionIsClean()
    {
        var settings = new NpgsqlConnectionStringBuilder(Proxy.ConnectionString) { MaxPoolSize = 1, Multiplexing = false };
        await using var source = NpgsqlDataSource.Create(settings);
        for (var i = 0; i < 3; i++)
        {
            await using var connection = await source.OpenConnectionAsync();
            Assert.That(await ScalarAsync(connection, "SHOW work_mem"), Is.EqualTo("4MB"));
            await ScalarAsync(connection, "SET work_mem = '7MB'");
            await ScalarAsync(connection, "CREATE TEMP TABLE tmp (x int)");
            Assert.That(await ScalarAsync(connection, "SHOW work_mem"), Is.EqualTo("7MB"));
        }

        static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            return await command.ExecuteScalarAsync();
        }
    }

    [Test]
    public async Task BinaryCopy()
    {
        await using var connection = await Proxy.Source.OpenConnectionAsync();
        await using (var writer = await connection.BeginBinaryImportAsync("COPY plain (id, v) FROM STDIN (FORMAT binary)"))
        {
            for (var i = 0; i < 20_000; i++)
            {
                await writer.StartRowAsync();
                await writer.WriteAsync(i);
                await writer.WriteAsync("row " + i);
            }

            Assert.That(await writer.CompleteAsync(), Is.EqualTo(20_000UL));
        }

        var sum = 0L;
        await using (var reader = await connection.BeginBinaryExportAsync("COPY (SELECT id, v FROM plain ORDER BY id) TO STDOUT (FORMAT binary)"))
        {
            while (await reader.StartRowAsync() >= 0)
            {
                sum += await reader.ReadAsync<int>();
                await reader.SkipAsync();
            }
        }

        Assert.That(sum, Is.EqualTo(19_999L * 20_000 / 2));
        await using (var text = await connection.BeginTextImportAsync("COPY a FROM STDIN"))
        {
            for (var i = 0; i < 5_000; i++)
            {
                await text.WriteAsync($"{i}\trow {i}\n");
            }
        }

        await using var count = new NpgsqlCommand("SELECT count(*) FROM a", connection);
        Assert.That(await count.ExecuteScalarAsync(), Is.EqualTo(5_000L));
    }
}
