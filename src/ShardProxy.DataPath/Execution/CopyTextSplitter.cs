using System.Buffers;
using ShardProxy.DataPath.Routing;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>Splits COPY data in text or csv format (PostgreSQL documentation, COPY, "File Formats").</summary>
internal sealed class CopyTextSplitter : ICopySplitter
{
    private readonly CopySummary _copy;
    private readonly CopyKey _key;
    private readonly int _homeNodeId;
    private readonly int[] _keyFields;
    private readonly ArrayBufferWriter<byte>[] _keyValues;
    private readonly bool[] _keyNulls;
    private readonly byte[] _null;
    private readonly ArrayBufferWriter<byte> _partial = new();
    private readonly bool _endsAtMark;
    private bool _headerPending;
    private bool _inQuotes;
    private bool _escaped;
    private bool _ended;

    /// <param name="copy">The options.</param>
    /// <param name="table">Where the rows go.</param>
    /// <param name="group">Its group.</param>
    /// <param name="isUtc">Moments without an offset are UTC.</param>
    /// <param name="homeNodeId">Takes rows that the server will refuse.</param>
    /// <param name="endsCsvAtMark">The servers take a line <c>\.</c> of csv data for its end: up to PostgreSQL 17.</param>
    public CopyTextSplitter(CopySummary copy, PlacedTable table, TableGroup group, bool isUtc, int homeNodeId, bool endsCsvAtMark)
    {
        _endsAtMark = copy.Format == CopyFormat.Text || endsCsvAtMark;
        _copy = copy;
        _key = new CopyKey(table, group, isUtc);
        _homeNodeId = homeNodeId;
        _null = System.Text.Encoding.UTF8.GetBytes(copy.NullText);
        _headerPending = copy.HasHeader;
        _keyFields = CopyFields.Of(copy, table).KeyFields;
        _keyValues = [.. _keyFields.Select(_ => new ArrayBufferWriter<byte>(64))];
        _keyNulls = new bool[_keyFields.Length];
    }

    private static ReadOnlySpan<byte> EndMark => "\\."u8;

    /// <inheritdoc/>
    public ShardProxyError Refusal { get; private set; } = RoutingErrors.UnprovenKey;

    /// <inheritdoc/>
    public int PartialBytes => _partial.WrittenCount;

    /// <inheritdoc/>
    public bool Add(ReadOnlySpan<byte> data, Action<int, ReadOnlySpan<byte>> row)
    {
        while (!data.IsEmpty && !_ended)
        {
            var end = FindRowEnd(data);
            if (end < 0)
            {
                _partial.Write(data);
                return true;
            }

            var line = data[..(end + 1)];
            if (_partial.WrittenCount > 0)
            {
                _partial.Write(line);
                if (!Emit(_partial.WrittenSpan, row))
                {
                    return false;
                }

                _partial.ResetWrittenCount();
            }
            else if (!Emit(line, row))
            {
                return false;
            }

            data = data[(end + 1)..];
        }

        return true;
    }

    /// <inheritdoc/>
    public bool Finish(Action<int, ReadOnlySpan<byte>> row)
    {
        if (_partial.WrittenCount == 0 || _ended)
        {
            return true;
        }

        if (_escaped && _copy.Format == CopyFormat.Text)
        {
            // A backslash without anything behind it: the line end that is added here would become a value's.
            Refusal = RoutingErrors.CopyFormat;
            return false;
        }

        _partial.Write("\n"u8);
        var done = Emit(_partial.WrittenSpan, row);
        _partial.ResetWrittenCount();
        return done;
    }

    private bool Emit(ReadOnlySpan<byte> line, Action<int, ReadOnlySpan<byte>> row)
    {
        var content = line[..^1];
        if (content.EndsWith("\r"u8))
        {
            content = content[..^1];
        }

        if (HasBareReturn(content) || HasEndMarkInside(content))
        {
            // Where the first line ends in a carriage return alone, PostgreSQL takes that for the line end and sees several rows here. An end mark
            // behind other data would end the one node's COPY and not that of the others.
            Refusal = RoutingErrors.CopyFormat;
            return false;
        }

        if (_headerPending)
        {
            _headerPending = false;
            row(0, line);
            return true;
        }

        if (content.SequenceEqual(EndMark))
        {
            if (!_endsAtMark)
            {
                Refusal = RoutingErrors.CopyFormat;
                return false;
            }

            _ended = true;
            return true;
        }

        if (!ReadKey(content))
        {
            // Too few fields: the server has the right words for it.
            row(_homeNodeId, line);
            return true;
        }

        _key.Begin();
        for (var i = 0; i < _keyFields.Length; i++)
        {
            var column = _key.Next;
            if (_keyNulls[column])
            {
                row(_homeNodeId, line);
                return true;
            }

            switch (_key.AddText(_keyValues[column].WrittenSpan))
            {
                case KeyHashOutcome.Unsupported:
                    return false;
                case KeyHashOutcome.Invalid:
                    row(_homeNodeId, line);
                    return true;
            }
        }

        row(_key.NodeId, line);
        return true;
    }

    private bool HasEndMarkInside(ReadOnlySpan<byte> content)
    {
        if (_copy.Format != CopyFormat.Text || content.Length <= EndMark.Length || content.IndexOf(EndMark) < 0)
        {
            return false;
        }

        for (var i = 0; i < content.Length - 1; i++)
        {
            if (content[i] == (byte)'\\' && content[++i] == (byte)'.')
            {
                return true;
            }
        }

        return false;
    }

    private bool HasBareReturn(ReadOnlySpan<byte> content)
    {
        if (!content.Contains((byte)'\r'))
        {
            return false;
        }

        var isInside = false;
        for (var i = 0; i < content.Length; i++)
        {
            if (content[i] == (byte)'\r' && !isInside)
            {
                return true;
            }

            if (_copy.Format == CopyFormat.Text)
            {
                i += content[i] == (byte)'\\' ? 1 : 0;
            }
            else if (isInside && content[i] == _copy.Escape && _copy.Escape != _copy.Quote)
            {
                i++;
            }
            else if (content[i] == _copy.Quote)
            {
                isInside = !isInside;
            }
        }

        return false;
    }

    // The offset of the newline that ends the row, or -1; the quoting state goes on in the next piece of data.
    private int FindRowEnd(ReadOnlySpan<byte> data)
    {
        for (var i = 0; i < data.Length; i++)
        {
            var b = data[i];
            if (_copy.Format == CopyFormat.Text)
            {
                if (_escaped)
                {
                    _escaped = false;
                }
                else if (b == (byte)'\\')
                {
                    _escaped = true;
                }
                else if (b == (byte)'\n')
                {
                    return i;
                }

                continue;
            }

            if (_inQuotes)
            {
                if (_escaped)
                {
                    _escaped = false;
                }
                else if (b == _copy.Escape && _copy.Escape != _copy.Quote)
                {
                    _escaped = true;
                }
                else if (b == _copy.Quote)
                {
                    _inQuotes = false;
                }
            }
            else if (b == _copy.Quote)
            {
                _inQuotes = true;
            }
            else if (b == (byte)'\n')
            {
                return i;
            }
        }

        return -1;
    }

    private bool ReadKey(ReadOnlySpan<byte> line)
    {
        var found = 0;
        var field = 0;
        var position = 0;
        while (position <= line.Length)
        {
            var key = Array.IndexOf(_keyFields, field);
            var target = key >= 0 ? _keyValues[key] : null;
            target?.ResetWrittenCount();
            var start = position;
            var quoted = false;
            position = _copy.Format == CopyFormat.Text ? TextField(line, position, target) : CsvField(line, position, target, out quoted);
            if (key >= 0)
            {
                var raw = line[start..position];
                _keyNulls[key] = !quoted && raw.SequenceEqual(_null);
                found++;
            }

            field++;
            position++;
        }

        return found == _keyFields.Length;
    }

    // Reads up to the delimiter and unescapes into the target.
    private int TextField(ReadOnlySpan<byte> line, int position, ArrayBufferWriter<byte>? target)
    {
        while (position < line.Length && line[position] != _copy.Delimiter)
        {
            var b = line[position++];
            if (b == (byte)'\\' && position < line.Length)
            {
                b = Unescape(line, ref position);
            }

            if (target is not null)
            {
                target.GetSpan(1)[0] = b;
                target.Advance(1);
            }
        }

        return position;
    }

    private static byte Unescape(ReadOnlySpan<byte> line, ref int position)
    {
        var b = line[position++];
        switch (b)
        {
            case (byte)'b':
                return (byte)'\b';
            case (byte)'f':
                return (byte)'\f';
            case (byte)'n':
                return (byte)'\n';
            case (byte)'r':
                return (byte)'\r';
            case (byte)'t':
                return (byte)'\t';
            case (byte)'v':
                return (byte)'\v';
            case >= (byte)'0' and <= (byte)'7':
                var octal = b - '0';
                for (var i = 0; i < 2 && position < line.Length && line[position] is >= (byte)'0' and <= (byte)'7'; i++)
                {
                    octal = (octal << 3) + (line[position++] - '0');
                }

                return (byte)octal;
            case (byte)'x' when position < line.Length && Uri.IsHexDigit((char)line[position]):
                var value = 0;
                for (var i = 0; i < 2 && position < line.Length && Uri.IsHexDigit((char)line[position]); i++)
                {
                    value = (value << 4) + Convert.ToInt32(((char)line[position++]).ToString(), 16);
                }

                return (byte)value;
            default:
                return b;
        }
    }

    private int CsvField(ReadOnlySpan<byte> line, int position, ArrayBufferWriter<byte>? target, out bool quoted)
    {
        quoted = false;
        var inside = false;
        while (position < line.Length && (inside || line[position] != _copy.Delimiter))
        {
            var b = line[position++];
            if (inside && b == _copy.Escape && position < line.Length && (line[position] == _copy.Quote || line[position] == _copy.Escape))
            {
                b = line[position++];
            }
            else if (b == _copy.Quote)
            {
                inside = !inside;
                quoted = true;
                continue;
            }

            if (target is not null)
            {
                target.GetSpan(1)[0] = b;
                target.Advance(1);
            }
        }

        return position;
    }
}
