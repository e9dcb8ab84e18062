using System.Collections;
using System.Globalization;
using System.Net;
using System.Numerics;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using NUnit.Framework;

namespace ShardProxy.Functional.Tests.DataPath.Drivers;

/// <summary>
/// Protects values on their way through Npgsql: each type it knows, sent as a parameter and read back, prepared or not, also the types a user
/// made, whose ids Npgsql asks the server for, and everything it tells of tables and columns.
/// </summary>
[TestFixture]
internal sealed class NpgsqlTypeTests : NpgsqlExercise
{
    protected override string Schema { get; } = """
        CREATE TABLE described (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(30) NOT NULL DEFAULT 'x', price numeric(10, 2), tags text[], at timestamptz, note text UNIQUE);
        CREATE INDEX described_price ON described (price, name);
        CREATE VIEW described_view AS SELECT id, name FROM described;
        """;

    private enum Mood
    {
        Happy,
        [PgName("so so")]
        SoSo,
    }

    [Test]
    public Task Every_type_comes_back_as_it_was_sent([Values] bool prepared) => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        foreach (var (type, value) in Values())
        {
            await using var command = new NpgsqlCommand("SELECT $1, pg_typeof($1)::text", connection) { Parameters = { new NpgsqlParameter { Value = value, DataTypeName = type } } };
            if (prepared)
            {
                await command.PrepareAsync();
            }

            await transcript.AttemptAsync(type, async () =>
            {
                await using var reader = await command.ExecuteReaderAsync();
                await reader.ReadAsync();
                return new[] { type.StartsWith("interval", StringComparison.Ordinal) ? reader.GetFieldValue<NpgsqlInterval>(0) : value is BigInteger ? reader.GetFieldValue<BigInteger>(0) : value is JsonDocument ? reader.GetString(0) : reader.GetValue(0), reader.GetString(1), reader.GetDataTypeName(0) };
            });
        }
    });

    [Test]
    public Task Values_that_cannot_be_fail_alike() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        foreach (var text in new[] { "SELECT 'NaN'::numeric", "SELECT 1e100::numeric", "SELECT '294276-12-31'::timestamptz", "SELECT '24:00'::time", "SELECT 'x'::int", "SELECT 1::bigint << 70, 9223372036854775807 + 1" })
        {
            await transcript.AttemptAsync(text, () => RowsAsync(connection, text));
        }

        await transcript.AttemptAsync("wrong type of a parameter", () => ScalarAsync(connection, "SELECT $1::int", new NpgsqlParameter { Value = "text", NpgsqlDbType = NpgsqlDbType.Integer }));
        await transcript.AttemptAsync("text with a zero", () => ScalarAsync(connection, "SELECT $1", "a\0b"));
        await transcript.AttemptAsync("still there", () => ScalarAsync(connection, "SELECT 1"));
    });

    [Test]
    public Task Ten_megabytes_go_there_and_back() => SameEverywhereAsync(async (place, transcript) =>
    {
        var random = new Random(20);
        var large = new byte[10_000_000];
        random.NextBytes(large);
        var text = new string('ä', 2_000_000);
        await using var connection = await place.Source.OpenConnectionAsync();
        await using var command = Command(connection, "SELECT $1, $2, 7", large, text);
        await using (var reader = await command.ExecuteReaderAsync())
        {
            await reader.ReadAsync();
            transcript.Say("at once", reader.GetFieldValue<byte[]>(0).AsSpan().SequenceEqual(large), reader.GetString(1) == text, reader.GetInt32(2));
        }

        await using (var reader = await command.ExecuteReaderAsync(System.Data.CommandBehavior.SequentialAccess))
        {
            await reader.ReadAsync();
            await using (var stream = await reader.GetStreamAsync(0))
            {
                using var whole = new MemoryStream();
                await stream.CopyToAsync(whole);
                transcript.Say("streamed", whole.ToArray().AsSpan().SequenceEqual(large));
            }

            using var characters = await reader.GetTextReaderAsync(1);
            transcript.Say("read as text", (await characters.ReadToEndAsync()) == text, reader.GetInt32(2));
        }

        // What is not read is thrown away, and the connection goes on.
        await using (var reader = await command.ExecuteReaderAsync(System.Data.CommandBehavior.SequentialAccess))
        {
            await reader.ReadAsync();
            transcript.Say("left alone", reader.GetInt32(2));
        }

        transcript.Say("still there", await ScalarAsync(connection, "SELECT 1"));
    });

    [Test]
    public Task Types_that_users_make() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var source = place.With(_ => { }, map =>
        {
            map.MapEnum<Mood>("mood");
            map.MapComposite<Address>("address");
            map.EnableUnmappedTypes();
            map.EnableRecordsAsTuples();
        });
        await using var connection = await source.OpenConnectionAsync();
        await RunAsync(connection, "DROP TYPE IF EXISTS address, mood, span; DROP DOMAIN IF EXISTS small; CREATE TYPE mood AS ENUM ('happy', 'so so'); CREATE TYPE address AS (street text, number int, mood mood); CREATE DOMAIN small AS int CHECK (VALUE < 10); CREATE TYPE span AS RANGE (subtype = float8)");
        await connection.ReloadTypesAsync();
        var home = new Address("Hauptstraße", 7, Mood.SoSo);
        await using (var command = Command(connection, "SELECT $1, $2, $3, ARRAY[$1, 'happy'::mood], ROW(1, 'x'), 5::small, '[1,2)'::span, ARRAY[$2]", Mood.Happy, home, new[] { Mood.Happy, Mood.SoSo }))
        {
            await command.PrepareAsync();
            await using var reader = await command.ExecuteReaderAsync();
            await reader.ReadAsync();
            transcript.Say("mapped", reader.GetFieldValue<Mood>(0), reader.GetFieldValue<Address>(1), reader.GetFieldValue<Mood[]>(2), reader.GetFieldValue<Mood[]>(3), reader.GetFieldValue<(int, string)>(4), reader.GetValue(5), reader.GetFieldValue<NpgsqlRange<double>>(6), reader.GetFieldValue<Address[]>(7));
            transcript.Say("names", Enumerable.Range(0, reader.FieldCount).Select(reader.GetDataTypeName));
        }

        await transcript.AttemptAsync("enum made longer", async () =>
        {
            await RunAsync(connection, "ALTER TYPE mood ADD VALUE 'new'");
            return await ScalarAsync(connection, "SELECT enum_range(NULL::mood)::text");
        });
        await transcript.AttemptAsync("domain", () => ScalarAsync(connection, "SELECT $1::small", 11));
        await RunAsync(connection, "DROP TYPE address, mood, span; DROP DOMAIN small");
    });

    [Test]
    public Task Types_of_extensions() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        foreach (var (extension, value) in new (string, object)[] { ("hstore", new Dictionary<string, string?> { ["a"] = "1", ["b"] = null }), ("citext", "TeXt"), ("ltree", "a.b") })
        {
            await transcript.AttemptAsync(extension, async () =>
            {
                await RunAsync(connection, $"CREATE EXTENSION IF NOT EXISTS {extension}");
                await connection.ReloadTypesAsync();
                var result = await ScalarAsync(connection, "SELECT $1", new NpgsqlParameter { Value = value, DataTypeName = extension });
                await RunAsync(connection, $"DROP EXTENSION {extension}");
                return result;
            });
        }
    });

    [Test]
    public Task What_a_reader_tells_of_its_columns() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        foreach (var behaviour in new[] { System.Data.CommandBehavior.Default, System.Data.CommandBehavior.KeyInfo, System.Data.CommandBehavior.SchemaOnly | System.Data.CommandBehavior.KeyInfo, System.Data.CommandBehavior.SingleRow })
        {
            await using var command = new NpgsqlCommand("SELECT id, name, price, tags, at, note, 1 AS one FROM described", connection);
            await using var reader = await command.ExecuteReaderAsync(behaviour);
            foreach (var column in await reader.GetColumnSchemaAsync())
            {
                transcript.Say($"{behaviour}", column.ColumnName, column.DataTypeName, column.ColumnSize, column.NumericPrecision, column.NumericScale, column.AllowDBNull, column.IsKey, column.IsUnique, column.IsAutoIncrement, column.IsReadOnly, column.BaseTableName, column.BaseColumnName, column.BaseSchemaName);
            }

            transcript.Say("table", (await reader.GetSchemaTableAsync())!.Rows.Count, reader.HasRows);
        }
    });

    [Test]
    public Task What_a_connection_tells_of_its_database() => SameEverywhereAsync(async (place, transcript) =>
    {
        await using var connection = await place.Source.OpenConnectionAsync();
        transcript.Say("connection", connection.PostgreSqlVersion, connection.ServerVersion, connection.Timezone, connection.HasIntegerDateTimes, connection.PostgresParameters["server_encoding"], connection.PostgresParameters.Count);
        transcript.Say("process", connection.ProcessID == (int)(await ScalarAsync(connection, "SELECT pg_backend_pid()"))!);
        foreach (var collection in new[] { "MetaDataCollections", "Restrictions", "DataTypes", "ReservedWords", "Users" })
        {
            transcript.Say(collection, (await connection.GetSchemaAsync(collection)).Rows.Count);
        }

        foreach (var (collection, schemaColumn) in new[] { ("Tables", "table_schema"), ("Columns", "table_schema"), ("Views", "table_schema"), ("Indexes", "table_schema"), ("IndexColumns", "table_schema"), ("Constraints", "constraint_schema"), ("ForeignKeys", "constraint_schema") })
        {
            await transcript.AttemptAsync(collection, async () =>
            {
                var table = await connection.GetSchemaAsync(collection);
                return table.Rows.Cast<System.Data.DataRow>().Where(r => r[schemaColumn] is "public").Select(r => string.Join(',', r.ItemArray.Select(v => v is uint ? "oid" : $"{v}"))).Order(StringComparer.Ordinal);
            });
        }
    });

    private static IEnumerable<(string Type, object Value)> Values()
    {
        yield return ("boolean", true);
        yield return ("smallint", short.MinValue);
        yield return ("integer", int.MaxValue);
        yield return ("bigint", long.MinValue);
        yield return ("real", float.NaN);
        yield return ("double precision", double.NegativeInfinity);
        yield return ("double precision", double.Epsilon);
        yield return ("numeric", decimal.MaxValue);
        yield return ("numeric", -0.0000000000000000000000000001m);
        yield return ("numeric", BigInteger.Parse("-" + new string('9', 200), CultureInfo.InvariantCulture));
        yield return ("money", 12.34m);
        yield return ("text", "ä€𝄞\r\n\t'\"\\");
        yield return ("character varying", "");
        yield return ("character", "pad");
        yield return ("name", "a name");
        yield return ("bytea", new byte[] { 0, 1, 92, 255 });
        yield return ("uuid", Guid.Parse("0123456789ab4def8123456789abcdef"));
        yield return ("json", "{\"a\": [1, null]}");
        yield return ("jsonb", "{\"a\": [1, null]}");
        yield return ("jsonb", JsonDocument.Parse("{\"k\": \"ä\"}"));
        yield return ("jsonpath", "$.\"a\"");
        yield return ("xml", "<a>b</a>");
        yield return ("date", new DateOnly(1, 1, 1));
        yield return ("date", new DateOnly(2024, 2, 29));
        yield return ("time without time zone", new TimeOnly(23, 59, 59, 999, 999));
        yield return ("time with time zone", new DateTimeOffset(1, 1, 2, 13, 5, 0, TimeSpan.FromHours(-5.5)));
        yield return ("timestamp without time zone", new DateTime(1999, 12, 31, 23, 59, 59, DateTimeKind.Unspecified));
        yield return ("timestamp with time zone", new DateTime(2024, 2, 29, 1, 2, 3, DateTimeKind.Utc).AddTicks(1_234_560));
        yield return ("timestamp with time zone", DateTime.MaxValue);
        yield return ("timestamp with time zone", DateTime.MinValue);
        yield return ("interval", new NpgsqlInterval(14, -3, 3_600_000_001));
        yield return ("interval", TimeSpan.FromDays(400.5));
        yield return ("bit varying", new BitArray([true, false, true]));
        yield return ("inet", new NpgsqlInet("2001:db8::1/64"));
        yield return ("inet", IPAddress.Parse("10.1.2.3"));
        yield return ("cidr", new IPNetwork(IPAddress.Parse("10.1.0.0"), 16));
        yield return ("macaddr", System.Net.NetworkInformation.PhysicalAddress.Parse("08-00-2B-01-02-03"));
        yield return ("point", new NpgsqlPoint(1.5, -2));
        yield return ("box", new NpgsqlBox(4, 3, 2, 1));
        yield return ("circle", new NpgsqlCircle(1, 2, 3));
        yield return ("lseg", new NpgsqlLSeg(1, 2, 3, 4));
        yield return ("path", new NpgsqlPath([new(0, 0), new(1, 1)], false));
        yield return ("polygon", new NpgsqlPolygon([new(0, 0), new(1, 1), new(1, 0)]));
        yield return ("tsquery", new NpgsqlTsQueryAnd(new NpgsqlTsQueryLexeme("fat"), new NpgsqlTsQueryLexeme("rat")));
        yield return ("oid", 4_000_000_000u);
        yield return ("pg_lsn", new NpgsqlLogSequenceNumber(0x16B374D848));
        yield return ("int4range", new NpgsqlRange<int>(1, true, 5, false));
        yield return ("int8range", NpgsqlRange<long>.Empty);
        yield return ("numrange", new NpgsqlRange<decimal>(1.5m, true, false, 0, false, true));
        yield return ("tstzrange", new NpgsqlRange<DateTime>(new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc), new DateTime(2021, 1, 1, 0, 0, 0, DateTimeKind.Utc)));
        yield return ("int4multirange", new[] { new NpgsqlRange<int>(1, true, 3, false), new NpgsqlRange<int>(7, true, 9, false) });
        yield return ("integer[]", new[] { 1, -1, int.MaxValue });
        yield return ("integer[]", new[,] { { 1, 2 }, { 3, 4 } });
        yield return ("integer[]", Array.Empty<int>());
        yield return ("text[]", new[] { "a", "NULL", "", "b\"c", "d,e" });
        yield return ("numeric[]", new List<decimal> { 1.10m, -2 });
        yield return ("uuid[]", new[] { Guid.Empty });
        yield return ("bytea[]", new[] { new byte[] { 1 }, [] });
        yield return ("jsonb[]", new[] { "{}", "[1]" });
        yield return ("int4range[]", new[] { new NpgsqlRange<int>(1, true, 3, false) });
        yield return ("timestamp with time zone[]", new[] { DateTime.UnixEpoch });
        yield return ("text", DBNull.Value);
    }

    private sealed record Address(string Street, int Number, Mood Mood)
    {
        public Address()
            : this("", 0, Mood.Happy)
        {
        }

        public string Street { get; set; } = Street;

        public int Number { get; set; } = Number;

        public Mood Mood { get; set; } = Mood;
    }
}
