using System.Collections.Immutable;
using System.Globalization;
using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;
using ShardProxy.Model.Workload;

namespace ShardProxy.Control.Tables;

/// <summary>The keys of a table at the bounds of equally filled buckets, from a sample of its rows.</summary>
internal static class KeySample
{
    /// <summary>Rows in the sample: each bucket then has some two hundred, and its share of the rows is off by a tenth or so.</summary>
    private const int SampledRows = 200_000;

    /// <summary>Longer text is cut off: a bound may lie between two keys.</summary>
    private const int MaxTextLength = 64;

    /// <summary>Text that <see cref="Model.Routing.KeyBound"/> reads.</summary>
    public const string Pins = "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'";

    /// <summary>Keys in ascending order, each with its bucket, from 1 on; none for an empty table.</summary>
    /// <param name="connection">To the node with the rows; its date style and time zone are changed.</param>
    /// <param name="table">The table.</param>
    /// <param name="key">The key columns.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <param name="where">Only rows of this condition.</param>
    public static async Task<List<(int Bucket, ImmutableArray<string> Key)>> ReadAsync(
        NpgsqlConnection connection, QualifiedName table, ImmutableArray<(string Name, KeyType Type)> key, CancellationToken cancellationToken, string where = "true")
    {
        await connection.RunAsync(Pins, cancellationToken);
        var rows = await connection.ScalarAsync<long>($"SELECT count(*) FROM {table} WHERE {where}", cancellationToken);
        var sample = rows > SampledRows
            ? string.Create(CultureInfo.InvariantCulture, $" TABLESAMPLE BERNOULLI ({100.0 * SampledRows / rows:0.########}) REPEATABLE (1)")
            : "";
        var columns = string.Join(", ", key.Select((k, i) => $"{SqlIdentifier.Quote(k.Name)} AS k{i}"));
        var order = string.Join(", ", key.Select(k => SqlIdentifier.Quote(k.Name) + (KeyTypes.Family(k.Type) == KeyType.Text ? " COLLATE \"C\"" : "")));
        var sql = $"""
            SELECT (i * {BucketMap.BucketsPerGroup} / n)::int, {string.Join(", ", key.Select((_, i) => $"k{i}::text"))}
            FROM (SELECT {columns}, row_number() OVER (ORDER BY {order}) - 1 AS i, count(*) OVER () AS n FROM {table}{sample} WHERE {where}) s
            WHERE i > 0 AND i * {BucketMap.BucketsPerGroup} / n <> (i - 1) * {BucketMap.BucketsPerGroup} / n
            ORDER BY i
            """;
        return await connection.RowsAsync(sql, r => (r.GetInt32(0), Key(r, key)), cancellationToken);
    }

    private static ImmutableArray<string> Key(NpgsqlDataReader reader, ImmutableArray<(string Name, KeyType Type)> key)
    {
        var values = ImmutableArray.CreateBuilder<string>();
        for (var i = 0; i < key.Length; i++)
        {
            var value = reader.GetString(i + 1);
            if (value.Length > MaxTextLength && KeyTypes.Family(key[i].Type) == KeyType.Text)
            {
                values.Add(value[..(char.IsHighSurrogate(value[MaxTextLength - 1]) ? MaxTextLength - 1 : MaxTextLength)]);
                break;
            }

            values.Add(value);
        }

        return values.ToImmutable();
    }
}
