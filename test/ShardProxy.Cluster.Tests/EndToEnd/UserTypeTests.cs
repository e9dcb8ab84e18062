using System.Buffers.Binary;
using System.Globalization;
using Npgsql;
using NpgsqlTypes;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;
using ShardProxy.TestKit.Wire;

namespace ShardProxy.Cluster.Tests.EndToEnd;

// Protects the user's own types over nodes that number them differently, as any two servers do: a driver learns the numbers of one server and has to find them in every
// description and in binary arrays and composites, whichever node they come from; and what it sends has to arrive.
[TestFixture]
internal sealed class UserTypeTests
{
    private const int People = 24;

    private ProxyProcess _proxy = null!;
    private NpgsqlDataSource _source = null!;

    internal enum Mood
    {
        [PgName("sad")]
        Sad,
        [PgName("ok")]
        Ok,
        [PgName("happy")]
        Happy,
    }

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _proxy = await ProxyProcess.StartAsync(new ProxyProcessOptions { Nodes = 3 });

        // What stands in the way of equal numbers. They overlap: a number of one node is another type's on the next.
        await OnNodeAsync("node1", "CREATE TYPE pad1 AS ENUM ('x')");
        await OnNodeAsync("node2", string.Concat(Enumerable.Range(2, 3).Select(i => $"CREATE TYPE pad{i} AS (a int);")));
        await OnNodeAsync("node3", string.Concat(Enumerable.Range(5, 5).Select(i => $"CREATE TABLE pad{i} (a int);")));
        await using var plain = NpgsqlDataSource.Create(_proxy.ConnectionString());
        await RunAsync(plain, """
            CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
            CREATE DOMAIN feeling AS mood NOT NULL;
            CREATE TYPE address AS (street text, mood mood, number int);
            CREATE TYPE household AS (name text, homes address[], feelings feeling[]);
            CREATE TYPE streets AS RANGE (subtype = address);
            CREATE TABLE person (id bigint PRIMARY KEY, mood mood, moods mood[], home address, homes address[], house household, street streets, plenty streets_multirange, note text);
            CREATE TABLE country (code text PRIMARY KEY, mood mood, moods mood[], home address);
            """);
        await using (var console = await ConsoleClient.OpenAsync(_proxy, CancellationToken.None))
        {
            await console.RunAsync("SHARD TABLE person BY HASH (id)", CancellationToken.None);
            await console.RunAsync("REPLICATE TABLE country", CancellationToken.None);
        }

        var builder = new NpgsqlDataSourceBuilder(_proxy.ConnectionString());
        builder.MapEnum<Mood>("mood");
        builder.MapComposite<Address>("address");
        builder.MapComposite<Household>("household");
        builder.EnableUnmappedTypes();
        _source = builder.Build();
        await using var connection = await _source.OpenConnectionAsync();
        for (var i = 1; i <= People; i++)
        {
            await using var insert = new NpgsqlCommand("INSERT INTO person (id, mood, moods, home, homes, house) VALUES ($1, $2, $3, $4, $5, $6)", connection);
            Add(insert, (long)i, MoodOf(i), MoodsOf(i), HomeOf(i), new[] { HomeOf(i), HomeOf(i + 1) }, HouseOf(i));
            if (i % 2 == 0)
            {
                await insert.PrepareAsync();
            }

            Assert.That(await insert.ExecuteNonQueryAsync(), Is.EqualTo(1));
            await RunAsync(connection, $"UPDATE person SET street = streets(ROW('a', 'sad', 1)::address, ROW('b', 'ok', {i})::address), plenty = streets_multirange(streets(ROW('a', 'sad', 1)::address, NULL)) WHERE id = {i}");
        }

        await using var reference = new NpgsqlCommand("INSERT INTO country VALUES ($1, $2, $3, $4)", connection);
        Add(reference, "it", MoodOf(1), MoodsOf(2), HomeOf(3));
        Assert.That(await reference.ExecuteNonQueryAsync(), Is.EqualTo(1));
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        await _source.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Test]
    public async Task TheNodesDoNumberThemDifferentlyAndEachHasRows()
    {
        var numbers = new List<uint>();
        foreach (var node in _proxy.NodeNames)
        {
            await using var source = NpgsqlDataSource.Create(_proxy.NodeConnectionString(node));
            await using var command = source.CreateCommand("SELECT 'mood'::regtype::oid");
            numbers.Add((uint)(await command.ExecuteScalarAsync())!);
            await using var rows = source.CreateCommand("SELECT count(*) FROM person");
            Assert.That(await rows.ExecuteScalarAsync(), Is.GreaterThan(2), node);
        }

        Assert.That(numbers.Distinct().Count(), Is.EqualTo(3));
    }

    [TestCase("SELECT id, mood, moods, home, homes, house FROM person WHERE id = $1", false)]
    [TestCase("SELECT id, mood, moods, home, homes, house FROM person WHERE id = $1", true)]
    [TestCase("UPDATE person SET note = 'x' WHERE id = $1 RETURNING id, mood, moods, home, homes, house", false)]
    public async Task ValuesOfOneNodeAreReadAsWritten(string sql, bool isPrepared)
    {
        await using var connection = await _source.OpenConnectionAsync();
        for (var round = 0; round < 2; round++)
        {
            for (var i = 1; i <= People; i++)
            {
                await using var command = new NpgsqlCommand(sql, connection);
                Add(command, (long)i);
                if (isPrepared)
                {
                    await command.PrepareAsync();
                }

                await using var reader = await command.ExecuteReaderAsync();
                Assert.That(await reader.ReadAsync(), Is.True);
                Check(reader);
            }
        }
    }

    [TestCase("SELECT id, mood, moods, home, homes, house FROM person")]
    [TestCase("SELECT id, mood, moods, home, homes, house FROM person ORDER BY id DESC")]
    [TestCase("SELECT id, mood, moods, home, homes, house FROM person WHERE mood = ANY ($1)")]
    [TestCase("SELECT id, mood, moods, home, homes, house FROM person WHERE mood = ANY ($1) ORDER BY home")]
    [TestCase("SELECT id, max(mood), (array_agg(mood))[1:1], (array_agg(home))[1], (array_agg(homes))[1:1], (array_agg(house))[1] FROM person GROUP BY id")]
    [TestCase("UPDATE person SET note = 'y' RETURNING id, mood, moods, home, homes, house")]
    [TestCase("UPDATE person SET note = 'z' WHERE mood = ANY ($1) RETURNING id, mood, moods, home, homes, house")]
    public async Task ValuesOfAllNodesAreReadAsWritten(string sql)
    {
        await using var connection = await _source.OpenConnectionAsync();
        foreach (var isPrepared in new[] { false, true })
        {
            foreach (var inBlock in new[] { false, true })
            {
                await using var transaction = inBlock ? await connection.BeginTransactionAsync() : null;
                await using var command = new NpgsqlCommand(sql, connection);
                if (sql.Contains("$1", StringComparison.Ordinal))
                {
                    Add(command, new object[] { new[] { Mood.Sad, Mood.Ok, Mood.Happy } });
                }

                if (isPrepared)
                {
                    await command.PrepareAsync();
                }

                var count = 0;
                await using (var reader = await command.ExecuteReaderAsync())
                {
                    for (; await reader.ReadAsync(); count++)
                    {
                        if (sql.Contains("array_agg", StringComparison.Ordinal))
                        {
                            Assert.That(reader.GetFieldValue<Mood>(1), Is.EqualTo(MoodOf(reader.GetInt64(0))));
                            Assert.That(reader.GetFieldValue<Household>(5).Homes, Is.EqualTo(HouseOf(reader.GetInt64(0)).Homes));
                        }
                        else
                        {
                            Check(reader);
                        }
                    }
                }

                Assert.That(count, Is.EqualTo(People), $"{sql} {isPrepared} {inBlock}");
            }
        }
    }

    [Test]
    public async Task RecordsAndRangesOfThemAreTranslatedInside()
    {
        // Raw: no driver reads all of these, so that the numbers inside are compared with the home node's own.
        var expected = await HomeNumbersAsync();
        using var client = await LoginAsync();
        foreach (var sql in new[]
                 {
                     "SELECT ROW(mood, home, moods, 1) FROM person WHERE id = {0}", "SELECT ARRAY[ROW(mood, house)] FROM person WHERE id = {0}", "SELECT street FROM person WHERE id = {0}",
                     "SELECT plenty FROM person WHERE id = {0}", "SELECT p FROM person p WHERE id = {0}", "SELECT ARRAY[street] FROM person WHERE id = {0}",
                 })
        {
            for (var i = 1; i <= People; i++)
            {
                await client.SendAsync(Frontend.Parse(string.Format(CultureInfo.InvariantCulture, sql, i)), Bind(), Frontend.DescribePortal(), Frontend.Execute(), Frontend.Sync());
                var described = await client.ReadUntilReadyAsync();
                await client.SendAsync(Frontend.Parse(string.Format(CultureInfo.InvariantCulture, sql, i)), Bind(), Frontend.Execute(), Frontend.Sync());
                var reply = await client.ReadUntilReadyAsync();
                Assert.That(reply.SqlState, Is.Null, $"{reply}");
                var row = reply.Messages.Single(m => m.Type == 'D').Body;
                Assert.That(row, Is.EqualTo(described.Messages.Single(m => m.Type == 'D').Body), "a description the client asks for changes nothing");
                Assert.That(reply.Messages.Select(m => m.Type), Has.None.EqualTo('T'), "what the proxy asks for itself is hidden");
                var inside = Numbers(row);
                Assert.That(inside, Is.Not.Empty.And.SubsetOf(expected), $"{sql} of {i}");
            }
        }
    }

    [Test]
    public async Task TablesOfColumnsAreTheHomeNodes()
    {
        using var client = await LoginAsync();
        var oid = int.Parse((await client.QueryAsync("SELECT 'person'::regclass::oid")).Rows[0][0]!, CultureInfo.InvariantCulture);
        for (var i = 1; i <= People; i++)
        {
            var description = (await client.QueryAsync($"SELECT id, mood FROM person WHERE id = {i}")).Messages.Single(m => m.Type == 'T').Body;
            Assert.That(BinaryPrimitives.ReadInt32BigEndian(description.AsSpan(2 + "id\0".Length)), Is.EqualTo(oid));
        }
    }

    [Test]
    public async Task ParametersThatNobodyDeclaredAreDescribedAndTranslated()
    {
        var numbers = await HomeTypesAsync();
        using var client = await LoginAsync();
        for (var i = 1; i <= People; i++)
        {
            await client.SendAsync(Frontend.Parse($"SELECT count(*) FROM person WHERE id = {i} AND moods = $1 AND home = $2::address", "undeclared"), Frontend.DescribeStatement("undeclared"), Frontend.Sync());
            var described = (await client.ReadUntilReadyAsync()).Messages.Single(m => m.Type == 't').Body;
            Assert.That(
                (BinaryPrimitives.ReadUInt32BigEndian(described.AsSpan(2)), BinaryPrimitives.ReadUInt32BigEndian(described.AsSpan(6))), Is.EqualTo((numbers["mood[]"], numbers["address"])));
            await client.SendAsync(Frontend.CloseStatement("undeclared"), Frontend.Sync());
            await client.ReadUntilReadyAsync();

            // Without a Describe of the client's own, named and unnamed.
            foreach (var name in new[] { "", $"s{i}" })
            {
                await client.SendAsync(
                    Frontend.Parse($"SELECT count(*) FROM person WHERE id = {i} AND moods = $1 AND home = $2::address", name),
                    Bind(name, EnumArray(numbers["mood"], MoodsOf(i)), Composite(numbers["mood"], HomeOf(i))), Frontend.Execute(), Frontend.Sync());
                var reply = await client.ReadUntilReadyAsync();
                Assert.That(reply.SqlState, Is.Null, $"{reply}");
                Assert.That(BinaryPrimitives.ReadInt64BigEndian(reply.Messages.Single(m => m.Type == 'D').Body.AsSpan(6)), Is.EqualTo(1), $"{i} {name}");
            }
        }

        await client.SendAsync(Frontend.Parse("SELECT count(*) FROM person WHERE moods = $1"), Bind("", EnumArray(numbers["mood"], MoodsOf(3))), Frontend.Execute(), Frontend.Sync());
        var all = await client.ReadUntilReadyAsync();
        Assert.That(all.SqlState, Is.Null, $"{all}");
    }

    [Test]
    public async Task BinaryCopyArrivesOnEveryNode()
    {
        await using var connection = await _source.OpenConnectionAsync();
        await using (var import = await connection.BeginBinaryImportAsync("COPY person (id, mood, moods, home, homes) FROM STDIN (FORMAT binary)"))
        {
            for (var i = 1001L; i <= 1030; i++)
            {
                await import.StartRowAsync();
                await import.WriteAsync(i);
                await import.WriteAsync(MoodOf(i));
                await import.WriteAsync(MoodsOf(i));
                await import.WriteAsync(HomeOf(i));
                await import.WriteAsync(new[] { HomeOf(i), HomeOf(i + 1) });
            }

            Assert.That(await import.CompleteAsync(), Is.EqualTo(30));
        }

        await using var command = new NpgsqlCommand("DELETE FROM person WHERE id > 1000 RETURNING id, moods, homes", connection);
        await using var reader = await command.ExecuteReaderAsync();
        var count = 0;
        for (; await reader.ReadAsync(); count++)
        {
            Assert.That(reader.GetFieldValue<Mood[]>(1), Is.EqualTo(MoodsOf(reader.GetInt64(0))));
            Assert.That(reader.GetFieldValue<Address[]>(2), Is.EqualTo(new[] { HomeOf(reader.GetInt64(0)), HomeOf(reader.GetInt64(0) + 1) }));
        }

        Assert.That(count, Is.EqualTo(30));
    }

    [Test]
    public async Task BinaryCopyOfOneNodeIsReadOrRefused()
    {
        using var client = await LoginAsync();
        var refused = 0;
        for (var i = 1; i <= People; i++)
        {
            var plain = await client.QueryAsync($"COPY (SELECT id, mood FROM person WHERE id = {i}) TO STDOUT (FORMAT binary)");
            Assert.That(plain.SqlState, Is.Null, $"{plain}");
            var deep = await client.QueryAsync($"COPY (SELECT moods FROM person WHERE id = {i}) TO STDOUT (FORMAT binary)");
            refused += deep.SqlState is null ? 0 : 1;
            Assert.That(deep.SqlState, Is.Null.Or.EqualTo("0A000"), $"{deep}");
        }

        Assert.That(refused, Is.InRange(1, People - 1));
    }

    [Test]
    public async Task TypesMadeLaterAndInABlockAreKnownAtOnce()
    {
        await using var connection = await _source.OpenConnectionAsync();
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await RunAsync(connection, "CREATE TYPE shade AS ENUM ('dark', 'light')");
            await RunAsync(connection, "ALTER TABLE person ADD COLUMN shades shade[] DEFAULT '{dark}'");
            await connection.ReloadTypesAsync();
            await CheckShadesAsync();
            await transaction.CommitAsync();
        }

        await CheckShadesAsync();
        await RunAsync(connection, "ALTER TABLE person DROP COLUMN shades; DROP TYPE shade");
        await connection.ReloadTypesAsync();

        async Task CheckShadesAsync()
        {
            for (var i = 1; i <= People; i++)
            {
                await using var command = new NpgsqlCommand("SELECT shades FROM person WHERE id = $1 AND shades = $2", connection);
                Add(command, (long)i);
                command.Parameters.Add(new NpgsqlParameter { Value = new[] { "dark" }, DataTypeName = "shade[]" });
                Assert.That(await command.ExecuteScalarAsync(), Is.EqualTo(new[] { "dark" }));
            }
        }
    }

    [Test]
    public async Task ATypeThatOnlyTheHomeNodeHasIsRefusedElsewhere()
    {
        await OnNodeAsync("node1", "CREATE TYPE alone AS ENUM ('x')");
        await using var source = NpgsqlDataSource.Create(_proxy.ConnectionString());
        await using var connection = await source.OpenConnectionAsync();
        var states = new HashSet<string>();
        for (var i = 1; i <= People; i++)
        {
            await using var command = new NpgsqlCommand("SELECT count(*) FROM person WHERE id = $1 AND $2::text = 'x'", connection);
            Add(command, (long)i);
            command.Parameters.Add(new NpgsqlParameter { Value = "x", DataTypeName = "alone" });
            try
            {
                await command.ExecuteScalarAsync();
                states.Add("");
            }
            catch (PostgresException e)
            {
                Assert.That(e.Detail, Does.StartWith("SHP-230"));
                states.Add(e.SqlState);
            }
        }

        Assert.That(states, Is.EquivalentTo(new[] { "", "0A000" }));
    }

    private static Mood MoodOf(long id) => (Mood)(id % 3);

    private static Mood[] MoodsOf(long id) => [.. Enumerable.Range(0, (int)(id % 4)).Select(i => MoodOf(id + i))];

    private static Address HomeOf(long id) => new() { Street = $"s{id}", Mood = MoodOf(id), Number = (int)id };

    private static Household HouseOf(long id) => new() { Name = $"h{id}", Homes = [HomeOf(id)] };

    private static void Check(NpgsqlDataReader reader)
    {
        var id = reader.GetInt64(0);
        Assert.That(reader.GetDataTypeName(1), Is.EqualTo("public.mood"));
        Assert.That(reader.GetFieldValue<Mood>(1), Is.EqualTo(MoodOf(id)));
        Assert.That(reader.GetFieldValue<Mood[]>(2), Is.EqualTo(MoodsOf(id)));
        Assert.That(reader.GetFieldValue<Address>(3), Is.EqualTo(HomeOf(id)));
        Assert.That(reader.GetFieldValue<Address[]>(4), Is.EqualTo(new[] { HomeOf(id), HomeOf(id + 1) }));
        Assert.That(reader.GetFieldValue<Household>(5).Homes, Is.EqualTo(HouseOf(id).Homes));
    }

    // Every four bytes that could be a user type's number, and are no flags of two neighbours: those are 16384.
    private static HashSet<uint> Numbers(byte[] row)
    {
        var found = new HashSet<uint>();
        for (var i = 0; i + 4 <= row.Length; i++)
        {
            if (BinaryPrimitives.ReadUInt32BigEndian(row.AsSpan(i)) is > 16390 and < 17000 and var number)
            {
                found.Add(number);
            }
        }

        return found;
    }

    // Everything in binary.
    private static byte[] Bind(string statement = "", params byte[][] values) => Frontend.Bind(statement, "", [1], values, [1]);

    private static byte[] EnumArray(uint element, Mood[] values) =>
    [
        .. Int32(values.Length == 0 ? 0 : 1), .. Int32(0), .. Int32((int)element), .. values.Length == 0 ? [] : (byte[])[.. Int32(values.Length), .. Int32(1)],
        .. values.SelectMany(v => (byte[])[.. Int32(Label(v).Length), .. Label(v)]),
    ];

    private static byte[] Composite(uint mood, Address value) =>
    [
        .. Int32(3), .. Int32(25), .. Int32(value.Street.Length), .. System.Text.Encoding.UTF8.GetBytes(value.Street), .. Int32((int)mood), .. Int32(Label(value.Mood).Length), .. Label(value.Mood),
        .. Int32(23), .. Int32(4), .. Int32(value.Number),
    ];

    private static byte[] Label(Mood mood) => System.Text.Encoding.UTF8.GetBytes(mood.ToString().ToLowerInvariant());

    private static byte[] Int32(int value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }

    private static void Add(NpgsqlCommand command, params object[] values)
    {
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }
    }

    private static async Task RunAsync(NpgsqlDataSource source, string sql)
    {
        await using var connection = await source.OpenConnectionAsync();
        await RunAsync(connection, sql);
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private async Task OnNodeAsync(string node, string sql)
    {
        await using var source = NpgsqlDataSource.Create(_proxy.NodeConnectionString(node));
        await RunAsync(source, sql);
    }

    private async Task<HashSet<uint>> HomeNumbersAsync() => [.. (await HomeTypesAsync()).Values];

    private async Task<Dictionary<string, uint>> HomeTypesAsync()
    {
        await using var source = NpgsqlDataSource.Create(_proxy.NodeConnectionString("node1"));
        await using var command = source.CreateCommand("SELECT oid::regtype::text, oid FROM pg_type WHERE oid::regtype::text IN ('mood', 'mood[]', 'feeling', 'feeling[]', 'address', 'address[]', 'household', 'streets', 'streets_multirange', 'person')");
        await using var reader = await command.ExecuteReaderAsync();
        var types = new Dictionary<string, uint>();
        while (await reader.ReadAsync())
        {
            types[reader.GetString(0)] = reader.GetFieldValue<uint>(1);
        }

        return types;
    }

    private async Task<ScriptedClient> LoginAsync()
    {
        var login = new NpgsqlConnectionStringBuilder(_proxy.ConnectionString());
        return await ScriptedClient.LoginAsync(login.Port, login.Username!, login.Database!, login.Password!);
    }

    internal sealed record Address
    {
        [PgName("street")]
        public string Street { get; set; } = "";

        [PgName("mood")]
        public Mood Mood { get; set; }

        [PgName("number")]
        public int Number { get; set; }
    }

    internal sealed record Household
    {
        [PgName("name")]
        public string Name { get; set; } = "";

        [PgName("homes")]
        public Address[] Homes { get; set; } = [];

        [PgName("feelings")]
        public Mood[] Feelings { get; set; } = [];
    }
}
