using System.Globalization;
using Npgsql;
using NpgsqlTypes;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd;

/// <summary>
/// Protects SHARD TABLE … BY RANGE for every key type: statements on a sharded table answer as on a plain one with the same rows, by literals and by
/// parameters in text and in binary, while what can be told from the key goes to the nodes it concerns.
/// </summary>
[TestFixture]
internal sealed class RangeGroupTests
{
    private const int Rows = 400;
    private ProxyProcess _proxy = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _proxy = await ProxyProcess.StartAsync();

    [OneTimeTearDown]
    public async Task StopAsync() => await _proxy.DisposeAsync();

    /// <summary>Name, SQL type, a key by number as SQL, and where a filled table's range can be split.</summary>
    private static IEnumerable<TestCaseData> Types()
    {
        yield return new TestCaseData("i2", "smallint", (Func<int, string>)(i => (i - 50).ToString(CultureInfo.InvariantCulture)), NpgsqlDbType.Smallint).SetArgDisplayNames("smallint");
        yield return new TestCaseData("i4", "int", (Func<int, string>)(i => (i * 1000).ToString(CultureInfo.InvariantCulture)), NpgsqlDbType.Integer).SetArgDisplayNames("int");
        yield return new TestCaseData("i8", "bigint", (Func<int, string>)(i => (i * 10_000_000_019L).ToString(CultureInfo.InvariantCulture)), NpgsqlDbType.Bigint).SetArgDisplayNames("bigint");
        yield return new TestCaseData("tx", "text", (Func<int, string>)(i => $"'{(char)('0' + (i % 10))}key é{i}'"), NpgsqlDbType.Text).SetArgDisplayNames("text");
        yield return new TestCaseData("vc", "varchar(20)", (Func<int, string>)(i => $"'{(char)('A' + (i % 50))}{i}'"), NpgsqlDbType.Varchar).SetArgDisplayNames("varchar");
        yield return new TestCaseData("uu", "uuid", (Func<int, string>)(i => $"'{new Guid((uint)i * 10_737_418, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)}'"), NpgsqlDbType.Uuid).SetArgDisplayNames("uuid");
        yield return new TestCaseData("da", "date", (Func<int, string>)(i => i == 7 ? "'infinity'" : i == 8 ? "'-infinity'" : $"'{DateTime.UtcNow.Date.AddDays(i - 100):yyyy-MM-dd}'"), NpgsqlDbType.Date).SetArgDisplayNames("date");
        yield return new TestCaseData("ts", "timestamp", (Func<int, string>)(i => i == 7 ? "'infinity'" : $"'{DateTime.UtcNow.Date.AddHours((i - 100) * 15):yyyy-MM-dd HH:mm:ss.ff}'"), NpgsqlDbType.Timestamp).SetArgDisplayNames("timestamp");
        yield return new TestCaseData("tz", "timestamptz", (Func<int, string>)(i => $"'{DateTime.UtcNow.Date.AddHours((i - 100) * 15):yyyy-MM-ddTHH:mm:ss}+02:30'"), NpgsqlDbType.TimestampTz).SetArgDisplayNames("timestamptz");
        yield return new TestCaseData("nu", "numeric(12,2)", (Func<int, string>)(i => i == 7 ? "'NaN'" : $"{i * i / 8m - 500:0.000}".ToString(CultureInfo.InvariantCulture)), NpgsqlDbType.Numeric).SetArgDisplayNames("numeric");
    }

    [TestCaseSource(nameof(Types))]
    [CancelAfter(120_000)]
    public async Task A_table_answers_as_a_plain_one_does(string name, string type, Func<int, string> key, NpgsqlDbType parameter, CancellationToken cancellationToken)
    {
        await using var connection = await Db.OpenAsync(_proxy.ConnectionString(), cancellationToken);
        foreach (var table in new[] { "plain", "filled", "grown" })
        {
            await connection.RunAsync($"CREATE TABLE {table}_{name} (k {type} NOT NULL, n int NOT NULL, note text, PRIMARY KEY (k, n))", cancellationToken);
        }

        // Filled before it is sharded, and after.
        foreach (var table in new[] { "plain", "filled" })
        {
            await connection.RunAsync($"INSERT INTO {table}_{name} VALUES {Values(0, Rows)}", cancellationToken);
        }

        (await ConsoleAsync($"SHARD TABLE filled_{name} BY RANGE (k)", $"SHARD TABLE grown_{name} BY RANGE (k)")).Succeeded();
        for (var from = 0; from < Rows; from += 100)
        {
            await connection.RunAsync($"INSERT INTO grown_{name} VALUES {Values(from, from + 100)}", cancellationToken);
        }

        var ranges = (await ConsoleAsync("SHOW RANGES")).Succeeded().Split('\n').Where(l => l.Contains($"_{name}|", StringComparison.Ordinal)).ToList();
        Assert.That(ranges, Has.Count.EqualTo(24), "4 ranges a node, whether the table has rows or not");
        Assert.That(ranges.Select(l => l.Split('|')[4]).Distinct().Count(), Is.EqualTo(3));
        foreach (var table in new[] { "filled", "grown" })
        {
            var onNodes = new List<long>();
            foreach (var node in _proxy.NodeNames)
            {
                onNodes.Add(await Db.ScalarAsync<long>(_proxy.NodeConnectionString(node), $"SELECT count(*) FROM {table}_{name}", cancellationToken));
            }

            await TestContext.Out.WriteLineAsync($"{table}: {string.Join(", ", onNodes)} rows on the nodes");
            Assert.That(onNodes.Sum(), Is.EqualTo(Rows));
            Assert.That(onNodes.Count(c => c > 0), table == "filled" ? Is.EqualTo(3) : Is.GreaterThan(1), $"{table}: {string.Join(", ", onNodes)}");
        }

        await AnswersAlikeAsync();

        // A range in two halves on two nodes, and writes over all of them.
        var middle = await Db.ScalarAsync<string>(_proxy.ConnectionString(), $"SELECT p.k::text FROM plain_{name} p ORDER BY p.k LIMIT 1 OFFSET 40", cancellationToken);
        var first = ranges.First(l => l.Contains($"filled_{name}|", StringComparison.Ordinal)).Split('|');
        var split = await ConsoleAsync($"SPLIT RANGE {first[0]} AT ('{middle}')");
        if (split.ExitCode != 0)
        {
            Assert.That(split.Errors, Does.Contain("SHP-512"), "only a range's own keys cut it");
            split = await ConsoleAsync($"SPLIT RANGE {first[0]} AT ('{await Db.ScalarAsync<string>(_proxy.ConnectionString(), $"SELECT p.k::text FROM plain_{name} p ORDER BY p.k LIMIT 1 OFFSET 10", cancellationToken)}')");
        }

        split.Succeeded();
        (await ConsoleAsync($"MOVE RANGE {first[0]} TO node3")).Succeeded();
        await connection.RunAsync("DISCARD ALL", cancellationToken);
        await AnswersAlikeAsync();
        foreach (var write in new[]
        {
            $"UPDATE $t SET note = note || '!' WHERE k BETWEEN {key(20)} AND {key(60)}",
            $"UPDATE $t SET note = 'x' WHERE k = {key(33)}",
            $"DELETE FROM $t WHERE k < {key(3)}",
            $"DELETE FROM $t WHERE (k, n) > ({key(390)}, 390)",
            $"INSERT INTO $t VALUES ({key(5)}, 5, 'again'), ({key(399)}, 1399, 'new') ON CONFLICT (k, n) DO UPDATE SET note = excluded.note",
        })
        {
            var counts = new List<int>();
            foreach (var table in new[] { "plain", "filled", "grown" })
            {
                counts.Add(await connection.RunAsync(write.Replace("$t", $"{table}_{name}", StringComparison.Ordinal), cancellationToken));
            }

            Assert.That(counts.Distinct(), Has.Exactly(1).Items, write);
        }

        await AnswersAlikeAsync();

        // COPY routes the same rows to the same nodes.
        var dump = new List<string>();
        using (var reader = await connection.BeginTextExportAsync($"COPY plain_{name} TO STDOUT", cancellationToken))
        {
            while (await reader.ReadLineAsync(cancellationToken) is { } line)
            {
                dump.Add(line);
            }
        }

        await connection.RunAsync($"DELETE FROM filled_{name}", cancellationToken);
        await using (var writer = await connection.BeginTextImportAsync($"COPY filled_{name} FROM STDIN", cancellationToken))
        {
            foreach (var line in dump)
            {
                await writer.WriteAsync((line + "\n").AsMemory(), cancellationToken);
            }
        }

        await AnswersAlikeAsync();
        await connection.RunAsync($"DELETE FROM grown_{name}", cancellationToken);
        await using (var source = await Db.OpenAsync(_proxy.ConnectionString(), cancellationToken))
        await using (var reader = await source.BeginRawBinaryCopyAsync($"COPY plain_{name} TO STDOUT (FORMAT binary)", cancellationToken))
        await using (var writer = await connection.BeginRawBinaryCopyAsync($"COPY grown_{name} FROM STDIN (FORMAT binary)", cancellationToken))
        {
            await reader.CopyToAsync(writer, cancellationToken);
        }

        await AnswersAlikeAsync();

        string Values(int from, int to) => string.Join(", ", Enumerable.Range(from, to - from).Select(i => $"({key(i)}, {i}, 'note {i}')"));

        async Task AnswersAlikeAsync()
        {
            string[] conditions =
            [
                "true", $"k = {key(17)}", $"{key(17)} = k", $"k IN ({key(1)}, {key(150)}, {key(390)})", $"k = ANY (ARRAY[{key(2)}, {key(250)}]::{type}[])",
                $"k BETWEEN {key(30)} AND {key(45)}", $"k NOT BETWEEN {key(30)} AND {key(345)}", $"k < {key(25)}", $"k <= {key(25)}", $"k > {key(370)}", $"{key(370)} <= k",
                $"k >= {key(10)} AND k < {key(12)}", $"k > {key(200)} AND k < {key(100)}", $"(k, n) >= ({key(30)}, 30) AND (k, n) < ({key(50)}, 49)", $"(k, n) = ({key(60)}, 60)",
                $"k = {key(17)} OR k > {key(380)}", "k IS NULL", $"k > NULL", $"k >= ({key(30)})::{type} AND n < 100", $"k <> {key(9)}",
            ];
            foreach (var condition in conditions)
            {
                await AlikeAsync($"SELECT k, n, note FROM $t WHERE {condition} ORDER BY k, n", []);
                await AlikeAsync($"SELECT count(*), sum(n), min(n), max(note) FROM $t WHERE {condition}", []);
            }

            await AlikeAsync($"SELECT a.n, b.note FROM $t a JOIN $t b ON a.k = b.k WHERE a.k BETWEEN {key(30)} AND {key(90)} ORDER BY 1, 2", []);
            await AlikeAsync($"SELECT a.n, b.note FROM $t a LEFT JOIN $t b ON a.k = b.k AND b.k < {key(50)} ORDER BY 1, 2", []);
            await AlikeAsync("SELECT k, n FROM $t ORDER BY k DESC, n LIMIT 7", []);
            await AlikeAsync($"SELECT n FROM $t WHERE k IN (SELECT k FROM $t WHERE k < {key(40)}) ORDER BY n", []);
            foreach (var (low, high) in new[] { (30, 45), (17, 17), (200, 100), (0, 399) })
            {
                var (from, to) = (await ValueAsync(low), await ValueAsync(high));
                foreach (var binary in new[] { true, false })
                {
                    await AlikeAsync("SELECT k, n FROM $t WHERE k = $1 ORDER BY n", [Parameter(from, binary)]);
                    await AlikeAsync("SELECT k, n FROM $t WHERE k BETWEEN $1 AND $2 ORDER BY k, n", [Parameter(from, binary), Parameter(to, binary)]);
                    await AlikeAsync("SELECT count(*) FROM $t WHERE k > $1 AND $2 > k", [Parameter(from, binary), Parameter(to, binary)]);
                    await AlikeAsync("SELECT k, n FROM $t WHERE (k, n) > ($1, $2) ORDER BY k, n LIMIT 5", [Parameter(from, binary), new NpgsqlParameter { Value = low }]);
                }
            }
        }

        async Task<(object Value, string Text)> ValueAsync(int i)
        {
            await using var command = new NpgsqlCommand($"SELECT ({key(i)})::{type}, ({key(i)})::{type}::text", connection);
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            await reader.ReadAsync(cancellationToken);
            return (parameter is NpgsqlDbType.Numeric or NpgsqlDbType.Date or NpgsqlDbType.Timestamp or NpgsqlDbType.TimestampTz ? "" : reader.GetValue(0), reader.GetString(1));
        }

        NpgsqlParameter Parameter((object Value, string Text) value, bool isBinary) => isBinary && value.Value is not ""
            ? new NpgsqlParameter { Value = value.Value, NpgsqlDbType = parameter }
            : isBinary && Parsed(value.Text) is { } parsed ? new NpgsqlParameter { Value = parsed, NpgsqlDbType = parameter } : new NpgsqlParameter { Value = value.Text, NpgsqlDbType = NpgsqlDbType.Unknown };

        object? Parsed(string text) => parameter switch
        {
            _ when text is "NaN" || text.EndsWith("infinity", StringComparison.Ordinal) => null,
            NpgsqlDbType.Numeric => decimal.Parse(text, CultureInfo.InvariantCulture),
            NpgsqlDbType.Date => DateOnly.Parse(text, CultureInfo.InvariantCulture),
            NpgsqlDbType.Timestamp => DateTime.Parse(text, CultureInfo.InvariantCulture),
            _ => DateTime.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal),
        };

        async Task AlikeAsync(string sql, NpgsqlParameter[] parameters)
        {
            List<string>? expected = null;
            foreach (var table in new[] { "plain", "filled", "grown" })
            {
                await using var command = new NpgsqlCommand(sql.Replace("$t", $"{table}_{name}", StringComparison.Ordinal), connection) { AllResultTypesAreUnknown = true };
                foreach (var p in parameters)
                {
                    command.Parameters.Add(p.Clone());
                }

                var rows = new List<string>();
                try
                {
                    await using var reader = await command.ExecuteReaderAsync(cancellationToken);
                    while (await reader.ReadAsync(cancellationToken))
                    {
                        rows.Add(string.Join('|', Enumerable.Range(0, reader.FieldCount).Select(i => reader.IsDBNull(i) ? "∅" : reader.GetString(i))));
                    }
                }
                catch (PostgresException e)
                {
                    Assert.Fail($"{command.CommandText}: {e.SqlState} {e.MessageText} {e.Detail}");
                }

                expected ??= rows;
                Assert.That(rows, Is.EqualTo(expected), command.CommandText);
            }
        }
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_key_of_several_columns_prunes_by_its_first_ones_and_its_tables_are_co_located(CancellationToken cancellationToken)
    {
        await using var connection = await Db.OpenAsync(_proxy.ConnectionString(), cancellationToken);
        foreach (var (table, other) in new[] { ("pev", "pno"), ("ev", "no") })
        {
            await connection.RunAsync($"""
                CREATE TABLE {table} (tenant int NOT NULL, day date NOT NULL, v int, PRIMARY KEY (tenant, day, v));
                CREATE TABLE {other} (t bigint NOT NULL, d date NOT NULL, note text);
                INSERT INTO {table} SELECT g % 20, date '2026-01-01' + g / 20, g FROM generate_series(1, 2000) g;
                INSERT INTO {other} SELECT g % 20, date '2026-01-01' + g / 20, 'n' || g FROM generate_series(1, 2000, 3) g
                """, cancellationToken);
        }

        (await ConsoleAsync("SHARD TABLE ev BY RANGE (tenant, day)", "SHARD TABLE no BY RANGE (t, d) COLOCATE WITH ev")).Succeeded();
        var ranges = (await ConsoleAsync("SHOW RANGES")).Succeeded().Split('\n').Where(l => l.Contains("|ev|", StringComparison.Ordinal)).Select(l => l.Split('|')).ToList();
        Assert.That(ranges, Has.Count.EqualTo(12));
        Assert.That(ranges[0][2], Is.Empty);
        Assert.That(ranges[1][2], Does.StartWith("('").And.Contain("2026-"), "a bound of two columns is shown as a row");
        (await ConsoleAsync($"SPLIT RANGE {ranges[3][0]} AT ('6')")).Succeeded();
        foreach (var sql in new[]
        {
            "SELECT * FROM $e WHERE tenant = 7 ORDER BY 1, 2, 3", "SELECT * FROM $e WHERE tenant = 7 AND day >= '2026-02-01' ORDER BY 1, 2, 3",
            "SELECT * FROM $e WHERE tenant IN (3, 17) AND day < '2026-01-05' ORDER BY 1, 2, 3", "SELECT * FROM $e WHERE (tenant, day) >= (5, '2026-03-01') AND (tenant, day) < (6, '2026-01-10') ORDER BY 1, 2, 3",
            "SELECT * FROM $e WHERE (tenant, day, v) > (18, '2026-03-01', 3) ORDER BY 1, 2, 3", "SELECT count(*) FROM $e WHERE tenant > 6 AND tenant <= 9", "SELECT count(*) FROM $e WHERE day = '2026-01-03'",
            "SELECT e.v, x.note FROM $e e JOIN $n x ON e.tenant = x.t AND e.day = x.d WHERE e.tenant = 4 AND e.day BETWEEN '2026-01-02' AND '2026-01-20' ORDER BY 1, 2",
            "SELECT tenant, count(*), sum(v) FROM $e GROUP BY tenant ORDER BY tenant", "SELECT day, max(v) FROM $e WHERE tenant < 5 GROUP BY day ORDER BY day LIMIT 9",
        })
        {
            var plain = await connection.RowsAsync(sql.Replace("$e", "pev", StringComparison.Ordinal).Replace("$n", "pno", StringComparison.Ordinal), cancellationToken);
            var sharded = await connection.RowsAsync(sql.Replace("$e", "ev", StringComparison.Ordinal).Replace("$n", "no", StringComparison.Ordinal), cancellationToken);
            Assert.That(sharded.Select(Text), Is.EqualTo(plain.Select(Text)), sql);
        }

        Assert.That((await ConsoleAsync("EXPLAIN ROUTE SELECT * FROM ev WHERE tenant = 0 AND day < '2026-01-09'")).Succeeded(), Does.Contain("Route: node node1"));
        Assert.That((await ConsoleAsync("EXPLAIN ROUTE SELECT * FROM ev WHERE (tenant, day) > (19, '2026-03-30')")).Succeeded(), Does.Contain("Route: node node3"));
        Assert.That((await ConsoleAsync("EXPLAIN ROUTE DELETE FROM ev WHERE tenant >= 0")).Succeeded(), Does.Contain("the nodes that have rows"));
    }

    [TestCase("CREATE TABLE $t (k float8 NOT NULL)", "SHARD TABLE $t BY RANGE (k)", "SHP-624")]
    [TestCase("CREATE TABLE $t (k numeric NOT NULL)", "SHARD TABLE $t BY HASH (k)", "SHP-624")]
    [TestCase("CREATE TABLE $t (k date NOT NULL)", "SHARD TABLE $t BY HASH (k)", "SHP-624")]
    [TestCase("CREATE TABLE $t (k text COLLATE \"en-x-icu\" NOT NULL)", "SHARD TABLE $t BY RANGE (k)", "SHP-638")]
    [TestCase("CREATE TABLE $t (k int NOT NULL); CREATE TABLE $t_o (k int NOT NULL)", "SHARD TABLE $t_o BY HASH (k); SHARD TABLE $t BY RANGE (k) COLOCATE WITH $t_o", "SHP-629")]
    [TestCase("CREATE TABLE $t (k int NOT NULL); CREATE TABLE $t_o (k date NOT NULL)", "SHARD TABLE $t_o BY RANGE (k); SHARD TABLE $t BY RANGE (k) COLOCATE WITH $t_o", "SHP-629")]
    [TestCase("CREATE TABLE $t (k date NOT NULL)", "SHARD TABLE $t BY RANGE (k); SPLIT RANGE $r AT ('someday')", "SHP-516")]
    [TestCase("CREATE TABLE $t (k int NOT NULL)", "SHARD TABLE $t BY RANGE (k); SPLIT RANGE $r AT ('5', '6')", "SHP-516")]
    [TestCase("CREATE TABLE $t (k int NOT NULL)", "SHARD TABLE $t BY RANGE (k); SPLIT RANGE $r AT ('2000000000')", "SHP-512")]
    [CancelAfter(60_000)]
    public async Task What_cannot_be_is_refused_with_the_reason(string create, string console, string code, CancellationToken cancellationToken)
    {
        var table = $"refused_{TestContext.CurrentContext.Test.ID.Replace('-', '_')}";
        await Db.ExecuteAsync(_proxy.ConnectionString(), create.Replace("$t", table, StringComparison.Ordinal), cancellationToken);
        ProgramResult? result = null;
        foreach (var statement in console.Split(';', StringSplitOptions.TrimEntries))
        {
            result?.Succeeded();
            var range = (await ConsoleAsync("SHOW RANGES")).Succeeded().Split('\n').FirstOrDefault(l => l.Contains($"|{table}|", StringComparison.Ordinal))?.Split('|')[0] ?? "0";
            result = await ConsoleAsync(statement.Replace("$t", table, StringComparison.Ordinal).Replace("$r", range, StringComparison.Ordinal));
        }

        Assert.That(result!.ExitCode, Is.Not.Zero);
        Assert.That(result.Errors, Does.Contain(code).And.Contain("HINT:  "));
    }

    [Test]
    [CancelAfter(60_000)]
    public async Task A_moment_that_depends_on_the_session_is_placed_where_the_server_puts_it_or_refused(CancellationToken cancellationToken)
    {
        await using var connection = await Db.OpenAsync(_proxy.ConnectionString(), cancellationToken);
        await connection.RunAsync("CREATE TABLE moment (k timestamptz PRIMARY KEY, n int)", cancellationToken);
        (await ConsoleAsync("SHARD TABLE moment BY RANGE (k)")).Succeeded();
        var month = new DateTime(DateTime.UtcNow.Year, DateTime.UtcNow.Month, 1).AddMonths(2).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        await connection.RunAsync($"SET TimeZone = 'UTC'; INSERT INTO moment VALUES ('{month} 00:30', 1)", cancellationToken);
        await connection.RunAsync("SET TimeZone = 'Asia/Tokyo'", cancellationToken);
        Assert.That(async () => await connection.RunAsync($"INSERT INTO moment VALUES ('{month} 00:30', 2)", cancellationToken), Throws.TypeOf<PostgresException>().With.Property("SqlState").EqualTo("0A000"));
        await connection.RunAsync($"INSERT INTO moment VALUES ('{month} 00:30+09', 3)", cancellationToken);
        Assert.That((await connection.RowsAsync($"SELECT n FROM moment WHERE k = '{month} 09:30'", cancellationToken)), Has.Count.EqualTo(1), "read in this session's zone, on whatever node");
        Assert.That((await connection.RowsAsync($"SELECT n FROM moment WHERE k < '{month} 09:00'", cancellationToken)), Has.Count.EqualTo(1));
        Assert.That((await connection.RowsAsync($"SELECT n FROM moment WHERE k = '{month} 00:30+00'", cancellationToken)), Has.Count.EqualTo(1));
    }

    private static string Text(Row row) => string.Join('|', row.Columns.Select(c => c.Value ?? "∅"));

    private Task<ProgramResult> ConsoleAsync(params string[] statements) =>
        PostgresProgram.PsqlAsync(_proxy.ConsoleConnectionString, CancellationToken.None, [.. statements.SelectMany(s => new[] { "-c", s })]);
}
