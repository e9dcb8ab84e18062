using Npgsql;
using ShardProxy.Control.Nodes;

namespace ShardProxy.Control.Migration.Copying;

/// <summary>Cuts a table by physical pages: TID range scans read each page once and need no index on the key's hash.</summary>
internal static class PageChunks
{
    public static async Task<long> CountPagesAsync(NpgsqlConnection connection, MigrationTable table, CancellationToken cancellationToken) =>
        await connection.ScalarAsync<long>("SELECT pg_relation_size($1::regclass) / current_setting('block_size')::bigint", cancellationToken, table.Sql);

    /// <summary>Predicates that cover the table, the last one without an upper bound: the table may have grown since it was measured.</summary>
    public static IEnumerable<string> Cut(long pages, int pagesPerChunk)
    {
        if (pages <= pagesPerChunk)
        {
            yield return "true";
            yield break;
        }

        for (long from = 0; from < pages; from += pagesPerChunk)
        {
            var lower = $"ctid >= '({from},0)'::tid";
            yield return from + pagesPerChunk < pages ? $"{lower} AND ctid < '({from + pagesPerChunk},0)'::tid" : lower;
        }
    }
}
