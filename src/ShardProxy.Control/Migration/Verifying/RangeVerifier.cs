using System.Numerics;
using Npgsql;
using ShardProxy.Control.Migration.CatchingUp;
using ShardProxy.Control.Migration.Copying;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;

namespace ShardProxy.Control.Migration.Verifying;

/// <summary>
/// Shows every row of the range equal on both sides at one logical moment: per chunk of the key space a count and two sums of 64-bit hashes
/// of the rows' canonical text. Sums, not XOR: equal rows would cancel out. Chunks that differ are then compared row by row.
/// </summary>
internal static class RangeVerifier
{
    private const int LargestChunkBits = 10;
    private const int ReportedRows = 5;

    /// <exception cref="ShardProxyException">SHP-509 with the first differences' key hashes.</exception>
    public static async Task VerifyAsync(MigrationContext context, Markers markers, CancellationToken cancellationToken)
    {
        await using var snapshots = await AlignedSnapshots.TakeAsync(context, markers, cancellationToken);
        await using var throttle = await MigrationThrottle.StartAsync(context, cancellationToken);
        var nonce = RowChecksum.NewNonce();
        foreach (var table in context.Tables)
        {
            var rows = RowsSql(table, nonce);
            var here = SumsAsync(context, snapshots.Source, table, rows, throttle.NewPace(), cancellationToken);
            var there = SumsAsync(context, snapshots.Target, table, rows, throttle.NewPace(), cancellationToken);
            await Task.WhenAll(here, there);
            var (source, target) = (await here, await there);
            foreach (var chunk in source.Keys.Union(target.Keys).Order())
            {
                var expected = source.GetValueOrDefault(chunk);
                if (expected != target.GetValueOrDefault(chunk))
                {
                    throw new ShardProxyException(ControlErrors.VerificationFailed(
                        table.Table.Name.ToString(), await DescribeAsync(snapshots, table, rows, chunk, cancellationToken)));
                }

                context.Progress.AddVerified(expected.Rows);
            }
        }
    }

    // The table is read a few pages at a time, each in its place: what is cut by pages here is put together by keys.
    private static async Task<Dictionary<long, ChunkSum>> SumsAsync(
        MigrationContext context, NpgsqlConnection connection, MigrationTable table, string rowsSql, MigrationThrottle.Pace pace, CancellationToken cancellationToken)
    {
        var sums = new Dictionary<long, ChunkSum>();
        foreach (var pages in PageChunks.Cut(await PageChunks.CountPagesAsync(connection, table, cancellationToken), context.Options.VerifyChunkPages))
        {
            var sql = $"SELECT h >> {Shift(table)}, {RowChecksum.Sums} FROM ({rowsSql} AND {pages}) t GROUP BY 1";
            foreach (var (chunk, sum) in await connection.RowsAsync(
                sql,
                r => (r.GetInt64(0), new ChunkSum(r.GetInt64(1), r.GetFieldValue<BigInteger>(2), r.GetFieldValue<BigInteger>(3))),
                cancellationToken))
            {
                sums[chunk] = sums.GetValueOrDefault(chunk).Plus(sum);
            }

            await pace.KeepAsync(0, isWhole: true, cancellationToken);
        }

        return sums;
    }

    // Key hashes stand for the keys: an error never shows values.
    private static async Task<string> DescribeAsync(AlignedSnapshots snapshots, MigrationTable table, string rowsSql, long chunk, CancellationToken cancellationToken)
    {
        var sql = $"SELECT h, a FROM ({rowsSql}) t WHERE h >> {Shift(table)} = {chunk}";
        var source = await snapshots.Source.RowsAsync(sql, r => (Key: r.GetInt64(0), Row: r.GetInt64(1)), cancellationToken);
        var target = await snapshots.Target.RowsAsync(sql, r => (Key: r.GetInt64(0), Row: r.GetInt64(1)), cancellationToken);
        var surplus = new Dictionary<(long Key, long Row), int>();
        source.ForEach(row => surplus[row] = surplus.GetValueOrDefault(row) + 1);
        target.ForEach(row => surplus[row] = surplus.GetValueOrDefault(row) - 1);
        var onlySource = surplus.Where(p => p.Value > 0).ToList();
        var onlyTarget = surplus.Where(p => p.Value < 0).ToList();
        var keys = onlySource.Concat(onlyTarget).Select(p => p.Key.Key).Distinct().Order().ToList();
        return $"{onlySource.Sum(p => p.Value)} row(s) only on the source and {-onlyTarget.Sum(p => p.Value)} only on the target, counted in the first chunk that differs; "
            + $"key hashes: {string.Join(", ", keys.Take(ReportedRows))}{(keys.Count > ReportedRows ? ", …" : "")}.";
    }

    private static string RowsSql(MigrationTable table, string nonce) =>
        $"SELECT {table.Hash} AS h, {new RowChecksum(table.Table, nonce).Hashes} FROM ONLY {table.Sql} WHERE {table.Predicate()}";

    /// <summary>Cuts the range into at most 1,024 (or one more) slices of the key space.</summary>
    private static int Shift(MigrationTable table)
    {
        return Math.Max(0, 128 - (int)UInt128.LeadingZeroCount(table.HashWidth) - LargestChunkBits);
    }

    private readonly record struct ChunkSum(long Rows, BigInteger First, BigInteger Second)
    {
        public ChunkSum Plus(ChunkSum other) => new(Rows + other.Rows, First + other.First, Second + other.Second);
    }
}
