using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration.CleaningUp;

/// <summary>
/// Keeps a moved range's rows in files before the source deletes them: one COPY a table, binary where every server reads it alike, and the files' SHA-256 in a file of its own, in
/// the form that <c>sha256sum --check</c> reads. That file is written last: without it an archive is not one, and nothing is deleted.
/// </summary>
internal static class GhostArchive
{
    private const string Sums = "SHA256SUMS";
    private const int BufferBytes = 128 * 1024;

    /// <summary>Writes the archive, unless it is there already. The rows must not change any more.</summary>
    /// <param name="context">The migration, whose range has left the node.</param>
    /// <param name="node">Where the rows are.</param>
    /// <param name="directory">Of all archives, on this machine.</param>
    /// <param name="cancellationToken">Ends it; the next try begins anew.</param>
    public static async Task WriteAsync(MigrationContext context, Node node, string directory, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(directory, string.Create(
            CultureInfo.InvariantCulture, $"{Uri.EscapeDataString(context.Journal.Record.GroupName)}-range{context.RangeId}-migration{context.Names.Label}"));
        if (File.Exists(Path.Combine(folder, Sums)))
        {
            return;
        }

        Directory.CreateDirectory(folder);
        await using var connection = await context.Connections.OpenAsync(node, cancellationToken);
        await connection.RunAsync("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", cancellationToken);
        var sums = new StringBuilder();
        foreach (var table in context.Tables)
        {
            var name = $"{Uri.EscapeDataString(table.Table.Name.Schema)}.{Uri.EscapeDataString(table.Table.Name.Name)}.{(table.CanCopyBinary ? "binary" : "text")}";
            sums.Append(await WriteAsync(connection, table, Path.Combine(folder, name), cancellationToken)).Append("  ").Append(name).Append('\n');
        }

        await connection.RunAsync("COMMIT", cancellationToken);
        await using (var file = new FileStream(Path.Combine(folder, Sums + ".part"), FileMode.Create, FileAccess.Write))
        {
            await file.WriteAsync(Encoding.UTF8.GetBytes(sums.ToString()), cancellationToken);
            file.Flush(flushToDisk: true);
        }

        File.Move(Path.Combine(folder, Sums + ".part"), Path.Combine(folder, Sums), overwrite: true);
    }

    private static async Task<string> WriteAsync(NpgsqlConnection connection, MigrationTable table, string path, CancellationToken cancellationToken)
    {
        var copy = $"COPY (SELECT {table.WritableColumns} FROM ONLY {table.Sql} WHERE {table.Predicate()}) TO STDOUT";
        await using var rows = table.CanCopyBinary
            ? await connection.BeginRawBinaryCopyAsync(copy + " (FORMAT BINARY)", cancellationToken)
            : ((StreamReader)await connection.BeginTextExportAsync(copy, cancellationToken)).BaseStream;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            await using var file = new FileStream(path, FileMode.Create, FileAccess.Write);
            int read;
            while ((read = await rows.ReadAsync(buffer.AsMemory(0, BufferBytes), cancellationToken)) > 0)
            {
                hash.AppendData(buffer, 0, read);
                await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
            }

            file.Flush(flushToDisk: true);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
