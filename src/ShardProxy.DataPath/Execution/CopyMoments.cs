using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// The fields that every row of a COPY over several nodes gets behind its own: columns it does not name and whose default is the transaction's moment, of which
/// each node would take its own.
/// </summary>
internal sealed class CopyMoments
{
    private readonly CopySummary _copy;
    private readonly ImmutableArray<TableColumn> _columns;
    private readonly ArrayBufferWriter<byte> _row = new();
    private byte[] _fields = [];
    private byte[] _names = [];

    private CopyMoments(CopySummary copy, ImmutableArray<TableColumn> columns) => (_copy, _columns) = (copy, columns);

    /// <summary>Null when there are none.</summary>
    public static CopyMoments? Of(CopySummary copy, PlacedTable table)
    {
        ImmutableArray<TableColumn> absent = copy.Columns.IsEmpty ? [] : [.. table.Columns.Where(c => c.Default is { Kind: ColumnDefaultKind.Moment } && !copy.Columns.Contains(c.Name))];
        return absent.IsEmpty ? null : new CopyMoments(copy, absent);
    }

    /// <summary>The COPY with the further columns.</summary>
    public byte[] Text(ReadOnlyMemory<byte> statement) => CopyText.WithColumns(statement.Span, _columns.Select(c => SqlIdentifier.Quote(c.Name)));

    /// <summary>Has a server of the transaction compute them. The error's payload if it fails.</summary>
    /// <exception cref="EndOfStreamException">The server was lost.</exception>
    public async ValueTask<byte[]?> ComputeAsync(Session session, ServerConnection server)
    {
        var (moment, error) = await TransactionMoment.OfAsync(session, server).ConfigureAwait(false);
        if (moment is null)
        {
            return error;
        }

        var isBinary = _copy.Format == CopyFormat.Binary;
        var types = await SideDialog.RunAsync(
            server,
            $"SELECT pg_catalog.format_type(t.oid, NULL), t.typsend FROM pg_catalog.unnest(ARRAY[{string.Join(',', _columns.Select(c => c.TypeOid))}]::pg_catalog.oid[]) WITH ORDINALITY w (o, n) "
            + "JOIN pg_catalog.pg_type t ON t.oid = w.o ORDER BY n").ConfigureAwait(false);
        if (!types.IsOk)
        {
            return types.ErrorPayload;
        }

        var values = _columns.Select((c, i) =>
        {
            var value = $"(({c.Default!.Text})::{Encoding.UTF8.GetString(types.Rows[i][0]!)})";
            return isBinary ? $"pg_catalog.encode({Encoding.UTF8.GetString(types.Rows[i][1]!)}({value}), 'hex')" : value + "::text";
        });
        var made = await SideDialog.RunAsync(server, TransactionTimeText.Replace($"SELECT {string.Join(", ", values)}", moment)).ConfigureAwait(false);
        if (!made.IsOk)
        {
            return made.ErrorPayload;
        }

        var fields = new ArrayBufferWriter<byte>();
        foreach (var value in made.Rows[0])
        {
            if (isBinary)
            {
                WriteBinary(fields, value is null ? null : Convert.FromHexString(Encoding.ASCII.GetString(value)));
            }
            else
            {
                WriteText(fields, value);
            }
        }

        _fields = fields.WrittenSpan.ToArray();
        if (_copy.HasHeaderMatch)
        {
            var names = new ArrayBufferWriter<byte>();
            foreach (var column in _columns)
            {
                WriteText(names, Encoding.UTF8.GetBytes(column.Name));
            }

            _names = names.WrittenSpan.ToArray();
        }

        return null;
    }

    /// <summary>The CopyInResponse for the client, who sends fewer columns than the servers take.</summary>
    public byte[] Response(byte[] response)
    {
        var own = response[..^(_columns.Length * sizeof(short))];
        BinaryPrimitives.WriteInt16BigEndian(own.AsSpan(1), (short)(BinaryPrimitives.ReadInt16BigEndian(response.AsSpan(1)) - _columns.Length));
        return own;
    }

    /// <summary>What goes to all nodes: a header that must name the columns names these, too. Valid until the next call.</summary>
    public ReadOnlySpan<byte> Header(ReadOnlySpan<byte> header) => _copy.HasHeaderMatch ? Append(header, _names) : header;

    /// <summary>A row of the data with the fields behind its own. Valid until the next call.</summary>
    public ReadOnlySpan<byte> Append(ReadOnlySpan<byte> row) => Append(row, _fields);

    private ReadOnlySpan<byte> Append(ReadOnlySpan<byte> row, byte[] fields)
    {
        _row.ResetWrittenCount();
        if (_copy.Format == CopyFormat.Binary)
        {
            var count = row.Length >= sizeof(short) ? BinaryPrimitives.ReadInt16BigEndian(row) : (short)-1;
            if (count < 0)
            {
                // What the server is bound to refuse.
                return row;
            }

            BinaryPrimitives.WriteInt16BigEndian(_row.GetSpan(sizeof(short)), (short)(count + _columns.Length));
            _row.Advance(sizeof(short));
            _row.Write(row[sizeof(short)..]);
            _row.Write(fields);
            return _row.WrittenSpan;
        }

        var end = row.EndsWith("\r\n"u8) ? row.Length - 2 : row.EndsWith("\n"u8) ? row.Length - 1 : row.Length;
        _row.Write(row[..end]);
        _row.Write(fields);
        _row.Write(row[end..]);
        return _row.WrittenSpan;
    }

    private static void WriteBinary(ArrayBufferWriter<byte> to, byte[]? value)
    {
        BinaryPrimitives.WriteInt32BigEndian(to.GetSpan(sizeof(int)), value?.Length ?? -1);
        to.Advance(sizeof(int));
        to.Write(value);
    }

    private void WriteText(ArrayBufferWriter<byte> to, byte[]? value)
    {
        to.Write([_copy.Delimiter]);
        if (value is null)
        {
            to.Write(Encoding.UTF8.GetBytes(_copy.NullText));
            return;
        }

        var isCsv = _copy.Format == CopyFormat.Csv;
        to.Write(isCsv ? [_copy.Quote] : default(ReadOnlySpan<byte>));
        foreach (var b in value)
        {
            var isSpecial = isCsv ? b == _copy.Quote || b == _copy.Escape : b == _copy.Delimiter || b == (byte)'\\';
            if (!isCsv && b is (byte)'\n' or (byte)'\r')
            {
                to.Write(b == (byte)'\n' ? "\\n"u8 : "\\r"u8);
                continue;
            }

            to.Write(isSpecial ? [isCsv ? _copy.Escape : (byte)'\\'] : default(ReadOnlySpan<byte>));
            to.Write([b]);
        }

        to.Write(isCsv ? [_copy.Quote] : default(ReadOnlySpan<byte>));
    }
}
