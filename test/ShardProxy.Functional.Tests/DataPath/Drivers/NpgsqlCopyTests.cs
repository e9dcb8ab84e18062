using Npgsql;
using NpgsqlTypes;
using NUnit.Framework;

namespace ShardProxy.Functional.Tests.DataPath.Drivers;

/// <summary>
/// Protects Npgsql's COPY: binary, text and raw, in and out, completed, given up and refused half-way, into a table of one node and into one
/// whose rows are spread, after which the connection is as good as before.
/// </summary>
[TestFixture(1)]
[TestFixture(20)]
internal sealed class NpgsqlCopyTests(int poolSize) : NpgsqlExercise
{
    private static readonly (string Table, string Key)[] Targets = [("items", "integer"), ("keyed", "bigint")];

    protected override int PoolSize => poolSize;

    protected override string Schema { get; } = "CREATE TABLE items (id int PRIMARY KEY, v text, n numeric);";

    [Test]
    public Task Binary([Values] bool inBlock) => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        foreach (var (table, key) in Targets)
        {
            await RunAsync(connection, $"TRUNCATE {table}");
            await using var transaction = inBlock ? await connection.BeginTransactionAsync() : null;
            await transcript.AttemptAsync($"{table} in", async () =>
            {
                await using var writer = await connection.BeginBinaryImportAsync($"COPY {table} (id, v, n) FROM STDIN (FORMAT binary)");
                for (var i = 0; i < 3000; i++)
                {
                    await writer.StartRowAsync();
                    await writer.WriteAsync(i, key);
                    await (i % 7 == 0 ? writer.WriteNullAsync() : writer.WriteAsync(new string('v', i % 100)));
                    await writer.WriteAsync(i * 1.25m, NpgsqlDbType.Numeric);
                }

                return await writer.CompleteAsync();
            });
            transcript.Say("there", await RowsAsync(connection, $"SELECT count(*), sum(n), count(v) FROM {table}"));
            await transcript.AttemptAsync("not completed", async () =>
            {
                await using var writer = await connection.BeginBinaryImportAsync($"COPY {table} FROM STDIN (FORMAT binary)");
                await writer.StartRowAsync();
                await writer.WriteAsync(5000L, key);
                await writer.WriteAsync("x");
                await writer.WriteAsync(1m, NpgsqlDbType.Numeric);
            });
            await transcript.AttemptAsync("usable", () => ScalarAsync(connection, "SELECT 1"));
        }
    });

    [Test]
    public Task Binary_rows_that_the_server_refuses() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        foreach (var (table, key) in Targets)
        {
            await RunAsync(connection, $"TRUNCATE {table}");

            // An error of COPY counts the lines of its node: lines of one key are all on one.
            await transcript.AttemptAsync("key twice", async () =>
            {
                await using var writer = await connection.BeginBinaryImportAsync($"COPY {table} (id, v) FROM STDIN (FORMAT binary)");
                foreach (var id in new[] { 1, 1 })
                {
                    await writer.StartRowAsync();
                    await writer.WriteAsync(id, key);
                    await writer.WriteAsync("x");
                }

                return await writer.CompleteAsync();
            });
            await transcript.AttemptAsync("no such column", async () =>
            {
                await using var writer = await connection.BeginBinaryImportAsync($"COPY {table} (id, nothing) FROM STDIN (FORMAT binary)");
            });
            transcript.Say("nothing", await ScalarAsync(connection, $"SELECT count(*) FROM {table}"));
        }
    });

    [Test]
    public Task Text() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        foreach (var (table, _) in Targets)
        {
            foreach (var options in new[] { "", "(FORMAT csv, HEADER, NULL 'none')" })
            {
                await RunAsync(connection, $"TRUNCATE {table}");
                await using (var writer = await connection.BeginTextImportAsync($"COPY {table} (id, v, n) FROM STDIN {options}"))
                {
                    var line = options.Length > 0 ? (Func<int, string>)(i => $"{i},\"a \"\"quoted\"\", {i}\nsecond line\",{(i % 3 == 0 ? "none" : "1.5")}\n") : i => $"{i}\ttab \\t {i} ä\\n\t{(i % 3 == 0 ? "\\N" : "1.5")}\n";
                    await writer.WriteAsync(options.Length > 0 ? "id,v,n\n" : "");
                    for (var i = 0; i < 2000; i++)
                    {
                        await writer.WriteAsync(line(i));
                    }
                }

                transcript.Say($"{table} {options}", await RowsAsync(connection, $"SELECT count(*), count(n), sum(n) FROM {table}"), await RowsAsync(connection, $"SELECT v FROM {table} WHERE id = 77"));
                using (var reader = await connection.BeginTextExportAsync($"COPY (SELECT id, v, n FROM {table} WHERE id = 99) TO STDOUT {options}"))
                {
                    transcript.Say("out", await reader.ReadToEndAsync());
                }
            }

            await transcript.AttemptAsync("bad line", async () =>
            {
                await using var writer = await connection.BeginTextImportAsync($"COPY {table} (id, v, n) FROM STDIN");
                await writer.WriteAsync("9000\tx\tnot a number\n");
            });
            await transcript.AttemptAsync("given up", async () =>
            {
                var writer = await connection.BeginTextImportAsync($"COPY {table} (id, v) FROM STDIN");
                await writer.WriteAsync("9001\tx\n");
                await ((NpgsqlCopyTextWriter)writer).CancelAsync();
                await writer.DisposeAsync();
            });
            transcript.Say("kept", await ScalarAsync(connection, $"SELECT count(*) FROM {table}"));
        }
    });

    [Test]
    public Task Raw_copy_from_one_table_to_another() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        await RunAsync(connection, "TRUNCATE items");
        await RunAsync(connection, "TRUNCATE keyed");
        await RunAsync(connection, "INSERT INTO items SELECT i, repeat('r', 200) || i, i FROM generate_series(1, 5000) i");
        foreach (var piece in new[] { 777, 100_000 })
        {
            using var bytes = new MemoryStream();
            await using (var source = await connection.BeginRawBinaryCopyAsync("COPY (SELECT id::bigint, v, n FROM items ORDER BY id) TO STDOUT (FORMAT binary)"))
            {
                await source.CopyToAsync(bytes);
            }

            transcript.Say("out", bytes.Length, bytes.ToArray().Sum(b => (long)b));
            bytes.Position = 0;
            await using (var target = await connection.BeginRawBinaryCopyAsync("COPY keyed FROM STDIN (FORMAT binary)"))
            {
                await bytes.CopyToAsync(target, piece);
            }

            transcript.Say("arrived", await RowsAsync(connection, "SELECT count(*), sum(n), sum(id) FROM keyed"), await ScalarAsync(connection, "SELECT v FROM keyed WHERE id = 4321"));
            await RunAsync(connection, "TRUNCATE keyed");
            await transcript.AttemptAsync("given up", async () =>
            {
                await using var target = await connection.BeginRawBinaryCopyAsync("COPY keyed FROM STDIN (FORMAT binary)");
                await target.WriteAsync(bytes.ToArray().AsMemory(0, 50_000));
                await target.CancelAsync();
            });
            transcript.Say("empty", await ScalarAsync(connection, "SELECT count(*) FROM keyed"));
        }
    });

    [Test]
    public Task Export_that_is_left_early() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        await using (var reader = await connection.BeginBinaryExportAsync("COPY (SELECT i, repeat('x', 100), NULL::int FROM generate_series(1, 200000) i) TO STDOUT (FORMAT binary)"))
        {
            await reader.StartRowAsync();
            transcript.Say("first", await reader.ReadAsync<int>(), (await reader.ReadAsync<string>()).Length, reader.IsNull);
            await reader.SkipAsync();
            await reader.StartRowAsync();
            await reader.CancelAsync();
        }

        transcript.Say("usable", await ScalarAsync(connection, "SELECT 1"));
        await using (var reader = await connection.BeginBinaryExportAsync("COPY (SELECT i FROM generate_series(1, 100000) i) TO STDOUT (FORMAT binary)"))
        {
            await reader.StartRowAsync();
        }

        transcript.Say("usable", await ScalarAsync(connection, "SELECT 1"));
        await transcript.AttemptAsync("error behind rows", async () =>
        {
            using var reader = await connection.BeginTextExportAsync("COPY (SELECT 10 / (9000 - i) FROM generate_series(1, 9999) i) TO STDOUT");
            return (await reader.ReadToEndAsync()).Length;
        });
        transcript.Say("usable", await ScalarAsync(connection, "SELECT 1"));
        await transcript.AttemptAsync("as a command", async () => await RunAsync(connection, "COPY (SELECT 1) TO STDOUT"));
    });
}
