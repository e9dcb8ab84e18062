using System.Buffers;
using Npgsql;
using ShardProxy.Control.Migration.Preparing;
using ShardProxy.Control.Nodes;

namespace ShardProxy.Control.Migration.Copying;

/// <summary>Copies the range's rows as one snapshot has them, in chunks of pages, a few at a time, each chunk one transaction on the target.</summary>
internal static class RangeCopier
{
    private const int BufferBytes = 128 * 1024;

    public static async Task CopyAsync(MigrationContext context, string snapshot, CancellationToken cancellationToken)
    {
        var chunks = new List<(MigrationTable Table, string Chunk)>();
        await using (var connection = await context.Connections.OpenAsync(context.Source, cancellationToken))
        {
            foreach (var table in context.Tables)
            {
                var pages = await PageChunks.CountPagesAsync(connection, table, cancellationToken);
                chunks.AddRange(PageChunks.Cut(pages, context.Options.CopyChunkPages).Select(c => (table, c)));
            }
        }

        await using var throttle = await MigrationThrottle.StartAsync(context, cancellationToken);
        var next = -1;
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAll(Enumerable.Range(0, Math.Min(context.Options.CopyParallelism, chunks.Count)).Select(_ => WorkAsync()));
        await using (var target = await context.Connections.OpenAsync(context.Target, cancellationToken))
        {
            // Who waits for its own commit on disk waits for all before it; it has to write something for that. The gate is shut already.
            await target.RunAsync("SET synchronous_commit = local", cancellationToken);
            await target.RunAsync(RangeGate.SetSql(context.Names, NodeSchema.GateClosed), cancellationToken);
        }

        async Task WorkAsync()
        {
            try
            {
                await using var source = await context.Connections.OpenAsync(context.Source, failed.Token);
                await using var target = await context.Connections.OpenSessionAsync(context.Target, context.Names.Session, failed.Token);
                await source.RunAsync("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", failed.Token);
                await source.RunAsync($"SET TRANSACTION SNAPSHOT '{snapshot}'", failed.Token);
                await target.RunAsync(context.Names.PassSql, failed.Token);

                // All is made durable at the end: not waiting for each chunk lets them be small.
                await target.RunAsync("SET synchronous_commit = off", failed.Token);
                var pace = throttle.NewPace();
                for (var i = Interlocked.Increment(ref next); i < chunks.Count; i = Interlocked.Increment(ref next))
                {
                    await CopyChunkAsync(context, source, target, chunks[i].Table, chunks[i].Chunk, pace, failed.Token);
                    await pace.KeepAsync(0, isWhole: true, failed.Token);
                }
            }
            catch
            {
                await failed.CancelAsync();
                throw;
            }
        }
    }

    private static Task CopyChunkAsync(
        MigrationContext context, NpgsqlConnection source, NpgsqlConnection target, MigrationTable table, string chunk, MigrationThrottle.Pace pace, CancellationToken cancellationToken)
    {
        var from = $"COPY (SELECT {table.WritableColumns} FROM ONLY {table.Sql} WHERE {chunk} AND {table.Predicate()}) TO STDOUT";
        var to = $"COPY {table.Sql} ({table.WritableColumns}) FROM STDIN";
        return table.CanCopyBinary
            ? PipeBinaryAsync(source, from, target, to, context.Progress.AddCopied, pace, cancellationToken)
            : PipeTextAsync(source, from, target, to, context.Progress.AddCopied, pace, cancellationToken);
    }

    /// <summary>Pipes one COPY into another in binary form; a failure on either side ends both and writes nothing.</summary>
    public static async Task PipeBinaryAsync(
        NpgsqlConnection source, string from, NpgsqlConnection target, string to, Action<long> copied, MigrationThrottle.Pace? pace, CancellationToken cancellationToken)
    {
        var counter = new BinaryCopyRowCounter();
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            await using var reader = await source.BeginRawBinaryCopyAsync(from + " (FORMAT BINARY)", cancellationToken);
            await using var writer = await target.BeginRawBinaryCopyAsync(to + " (FORMAT BINARY)", cancellationToken);
            try
            {
                int read;
                while ((read = await reader.ReadAsync(buffer.AsMemory(0, BufferBytes), cancellationToken)) > 0)
                {
                    var before = counter.Rows;
                    counter.Add(buffer.AsSpan(0, read));
                    await writer.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                    copied(counter.Rows - before);
                    if (pace is not null)
                    {
                        await pace.KeepAsync(read, isWhole: false, cancellationToken);
                    }
                }
            }
            catch
            {
                // Disposing the writer would otherwise end the COPY as if all had been sent.
                await writer.CancelAsync();
                throw;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>The same in text form, for types whose binary form names OIDs of one server.</summary>
    public static async Task PipeTextAsync(
        NpgsqlConnection source, string from, NpgsqlConnection target, string to, Action<long> copied, MigrationThrottle.Pace? pace, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            // The streams under Npgsql's reader and writer: bytes pass as they are, and the end of an empty table is waited for without blocking a thread.
            await using var reader = ((StreamReader)await source.BeginTextExportAsync(from, cancellationToken)).BaseStream;
            await using var writer = (NpgsqlRawCopyStream)((StreamWriter)await target.BeginTextImportAsync(to, cancellationToken)).BaseStream;
            try
            {
                int read;
                while ((read = await reader.ReadAsync(buffer.AsMemory(0, BufferBytes), cancellationToken)) > 0)
                {
                    await writer.WriteAsync(buffer.AsMemory(0, read), cancellationToken);

                    // In text form a line feed inside a value is written as \n, so the bare ones are row ends.
                    copied(buffer.AsSpan(0, read).Count((byte)'\n'));
                    if (pace is not null)
                    {
                        await pace.KeepAsync(read, isWhole: false, cancellationToken);
                    }
                }
            }
            catch
            {
                // Disposing the writer would otherwise end the COPY as if all had been sent.
                await writer.CancelAsync();
                throw;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
