using Npgsql;
using NUnit.Framework;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.DataPath.Drivers;

/// <summary>
/// Runs each exercise on PostgreSQL itself, through the proxy on an unsharded database and through it on one with a sharded table, and compares
/// what Npgsql said. In all three <c>keyed</c> has the same rows; only in the last its rows lie on several nodes.
/// </summary>
internal abstract class NpgsqlExercise : DataPathFixture
{
    private const string Keyed = "CREATE TABLE keyed (id bigint PRIMARY KEY, v text, n numeric);";

    private NpgsqlPlace[] _places = null!;

    protected sealed override Placement Tables { get; } = new Placement().Sharded("keyed", "id int8, v text, n numeric", "id");

    protected sealed override string Ddl => Keyed;

    /// <summary>Made in each place before the exercises.</summary>
    protected abstract string Schema { get; }

    protected sealed override string HomeDdl => Schema;

    [OneTimeSetUp]
    public async Task CreatePlacesAsync()
    {
        string direct = Database + "_direct", unsharded = Database + "_unsharded";
        foreach (var name in new[] { direct, unsharded })
        {
            await DirectAsync(0, $"CREATE DATABASE {name}");
            await using var source = NpgsqlDataSource.Create(At(Cluster.Nodes[0].Port, name));
            await using var command = source.CreateCommand(Keyed + Schema);
            await command.ExecuteNonQueryAsync();
        }

        _places =
        [
            new NpgsqlPlace("PostgreSQL itself", At(Cluster.Nodes[0].Port, direct)),
            new NpgsqlPlace("through the proxy, unsharded", At(Proxy.Port, unsharded)),
            new NpgsqlPlace("through the proxy, sharded", At(Proxy.Port, Database)),
        ];
    }

    [OneTimeTearDown]
    public async Task DisposePlacesAsync()
    {
        foreach (var place in _places ?? [])
        {
            await place.DisposeAsync();
        }
    }

    /// <summary>Runs the exercise everywhere; it must leave behind what it found.</summary>
    protected async Task SameEverywhereAsync(Func<NpgsqlPlace, Transcript, Task> exercise)
    {
        IReadOnlyList<string>? expected = null;
        foreach (var place in _places)
        {
            var transcript = new Transcript(place);
            try
            {
                await exercise(place, transcript);
            }
            catch
            {
                TestContext.Out.WriteLine($"{place.Name}, after\n{string.Join('\n', transcript.Lines)}");
                throw;
            }

            expected ??= transcript.Lines;
            Assert.That(transcript.Lines, Is.Not.Empty);
            Assert.That(transcript.Lines, Is.EqualTo(expected), place.Name);
        }
    }

    protected static async Task<int> RunAsync(NpgsqlConnection connection, string sql, params object[] values)
    {
        await using var command = Command(connection, sql, values);
        return await command.ExecuteNonQueryAsync();
    }

    protected static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql, params object[] values)
    {
        await using var command = Command(connection, sql, values);
        return await command.ExecuteScalarAsync();
    }

    /// <summary>All rows of all results.</summary>
    protected static async Task<object?> RowsAsync(NpgsqlConnection connection, string sql, params object[] values)
    {
        await using var command = Command(connection, sql, values);
        await using var reader = await command.ExecuteReaderAsync();
        return await RowsAsync(reader);
    }

    /// <summary>All rows of what is left of the results.</summary>
    protected static async Task<object?> RowsAsync(NpgsqlDataReader reader)
    {
        var results = new List<object>();
        do
        {
            var rows = new List<object?[]>();
            while (await reader.ReadAsync())
            {
                var row = new object?[reader.FieldCount];
                reader.GetValues(row!);
                rows.Add(row);
            }

            results.Add(rows);
        }
        while (await reader.NextResultAsync());

        return results;
    }

    protected static NpgsqlCommand Command(NpgsqlConnection connection, string sql, params object[] values)
    {
        var command = new NpgsqlCommand(sql, connection);
        foreach (var value in values)
        {
            command.Parameters.Add(value as NpgsqlParameter ?? new NpgsqlParameter { Value = value });
        }

        return command;
    }

    private static string At(int port, string database) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = port,
        Username = TestCluster.User,
        Password = TestCluster.Password,
        Database = database,
        IncludeErrorDetail = true,
        GssEncryptionMode = GssEncryptionMode.Disable,
    }.ConnectionString;
}
