using System.Buffers.Binary;
using ShardProxy.DataPath.Routing;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Splits COPY data in binary format (PostgreSQL documentation, COPY, "Binary Format"): the header and the trailer go to every node, a row to
/// the node of its key. Fields are walked by their lengths; only key fields are looked at.
/// </summary>
internal sealed class CopyBinarySplitter : ICopySplitter
{
    private const int FlagsBytes = 4, ExtensionLengthBytes = 4, CountBytes = 2, LengthBytes = 4;
    private const short TrailerMark = -1;
    private const int NullMark = -1;

    private readonly CopyKey _key;
    private readonly int _homeNodeId;
    private readonly CopyFields _fields;

    // Start and length of each key field of the row at hand; NullMark as length for NULL.
    private readonly (int Start, int Length)[] _keys;
    private byte[] _partial = [];
    private int _partialBytes;
    private bool _isHeaderPending = true;

    // Set once the server is bound to refuse the data: the rest of it goes to the home node as it is.
    private bool _isSpoiled;

    public CopyBinarySplitter(CopySummary copy, PlacedTable table, TableGroup group, int homeNodeId)
    {
        _key = new CopyKey(table, group, isUtc: false);
        _homeNodeId = homeNodeId;
        _fields = CopyFields.Of(copy, table);
        _keys = new (int, int)[_fields.KeyFields.Length];
    }

    /// <inheritdoc/>
    public ShardProxyError Refusal => RoutingErrors.UnprovenKey;

    /// <inheritdoc/>
    public int PartialBytes => _partialBytes;

    private static ReadOnlySpan<byte> Signature => [(byte)'P', (byte)'G', (byte)'C', (byte)'O', (byte)'P', (byte)'Y', (byte)'\n', 0xff, (byte)'\r', (byte)'\n', 0];

    /// <inheritdoc/>
    public bool Add(ReadOnlySpan<byte> data, Action<int, ReadOnlySpan<byte>> row)
    {
        if (_partialBytes == 0)
        {
            var isProven = TrySplit(data, row, out var consumed);
            Keep(data[consumed..]);
            return isProven;
        }

        Keep(data);
        var isStillProven = TrySplit(_partial.AsSpan(0, _partialBytes), row, out var taken);
        _partial.AsSpan(taken, _partialBytes - taken).CopyTo(_partial);
        _partialBytes -= taken;
        return isStillProven;
    }

    /// <inheritdoc/>
    public bool Finish(Action<int, ReadOnlySpan<byte>> row)
    {
        if (_partialBytes > 0)
        {
            // Cut off inside the header or a row.
            row(_homeNodeId, _partial.AsSpan(0, _partialBytes));
            _partialBytes = 0;
        }

        return true;
    }

    private void Keep(ReadOnlySpan<byte> data)
    {
        if (_partialBytes + data.Length > _partial.Length)
        {
            Array.Resize(ref _partial, Math.Max(_partialBytes + data.Length, _partial.Length * 2));
        }

        data.CopyTo(_partial.AsSpan(_partialBytes));
        _partialBytes += data.Length;
    }

    // Hands out everything that is whole; what is not stays for the next call.
    private bool TrySplit(ReadOnlySpan<byte> data, Action<int, ReadOnlySpan<byte>> row, out int consumed)
    {
        consumed = 0;
        while (consumed < data.Length)
        {
            var rest = data[consumed..];
            int length, nodeId;
            if (_isSpoiled)
            {
                (length, nodeId) = (rest.Length, _homeNodeId);
            }
            else if (_isHeaderPending)
            {
                length = HeaderLength(rest);
                nodeId = 0;
                _isHeaderPending = length <= 0;
            }
            else
            {
                length = RowLength(rest, out var isTrailer);
                nodeId = 0;
                if (isTrailer)
                {
                    // PostgreSQL refuses any data after it.
                    _isSpoiled = true;
                }
                else if (length > 0 && !TryLocate(rest, out nodeId))
                {
                    return false;
                }
            }

            if (length == 0)
            {
                return true;
            }

            if (length < 0)
            {
                _isSpoiled = true;
                continue;
            }

            row(nodeId, rest[..length]);
            consumed += length;
        }

        return true;
    }

    // Its length; 0 when more bytes are needed, -1 when it is none that PostgreSQL would take.
    private static int HeaderLength(ReadOnlySpan<byte> data)
    {
        var seen = Math.Min(data.Length, Signature.Length);
        if (!data[..seen].SequenceEqual(Signature[..seen]))
        {
            return -1;
        }

        var extensionAt = Signature.Length + FlagsBytes;
        if (data.Length < extensionAt + ExtensionLengthBytes)
        {
            return 0;
        }

        var extension = BinaryPrimitives.ReadInt32BigEndian(data[extensionAt..]);
        var whole = (long)extensionAt + ExtensionLengthBytes + extension;
        return extension < 0 || whole > int.MaxValue ? -1 : whole <= data.Length ? (int)whole : 0;
    }

    // Likewise; leaves the places of the key fields.
    private int RowLength(ReadOnlySpan<byte> data, out bool isTrailer)
    {
        isTrailer = false;
        if (data.Length < CountBytes)
        {
            return 0;
        }

        var count = BinaryPrimitives.ReadInt16BigEndian(data);
        if (count == TrailerMark)
        {
            isTrailer = true;
            return CountBytes;
        }

        if (count != _fields.Count)
        {
            return -1;
        }

        var position = CountBytes;
        for (var field = 0; field < count; field++)
        {
            if (data.Length - position < LengthBytes)
            {
                return 0;
            }

            var length = BinaryPrimitives.ReadInt32BigEndian(data[position..]);
            position += LengthBytes;
            if (length < NullMark)
            {
                return -1;
            }

            var key = Array.IndexOf(_fields.KeyFields, field);
            if (key >= 0)
            {
                _keys[key] = (position, length);
            }

            if (length > data.Length - position)
            {
                return 0;
            }

            position += Math.Max(length, 0);
        }

        return position;
    }

    private bool TryLocate(ReadOnlySpan<byte> row, out int nodeId)
    {
        nodeId = _homeNodeId;
        _key.Begin();
        for (var i = 0; i < _keys.Length; i++)
        {
            var (start, length) = _keys[_key.Next];
            if (length == NullMark)
            {
                return true;
            }

            switch (_key.AddBinary(row.Slice(start, length)))
            {
                case KeyHashOutcome.Unsupported:
                    return false;
                case KeyHashOutcome.Invalid:
                    return true;
            }
        }

        nodeId = _key.NodeId;
        return true;
    }
}
