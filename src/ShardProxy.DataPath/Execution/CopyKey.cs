using System.Buffers;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Execution;

/// <summary>Reads the key of one COPY row after another, column by column in the order that the group's method needs, and finds the owner.</summary>
internal sealed class CopyKey(PlacedTable table, TableGroup group, bool isUtc)
{
    private readonly ArrayBufferWriter<byte> _ordered = new(64);
    private long _hash;
    private int _read;

    /// <summary>The key column whose value is to be added next.</summary>
    public int Next => group.Scale is null ? table.KeyColumns.Length - 1 - _read : _read;

    /// <summary>The owner, once every column is added.</summary>
    public int NodeId => group.Locate(group.Scale is { } scale ? scale.PositionOf(_ordered.WrittenSpan) : _hash).NodeId;

    private int TypeModifier => table.Columns[table.KeyColumns[Next]].TypeModifier;

    /// <summary>Begins another row.</summary>
    public void Begin()
    {
        _ordered.ResetWrittenCount();
        _hash = KeyHash.FirstSeed;
        _read = 0;
    }

    public KeyHashOutcome AddText(ReadOnlySpan<byte> text) => Added(group.Scale is null
        ? KeyDecoder.TryText(group.KeyTypes[Next], TypeModifier, text, isAssignment: true, _hash, out _hash)
        : OrderedKeyDecoder.TryText(group.KeyTypes[Next], TypeModifier, 0, text, isAssignment: true, isUtc, _ordered));

    public KeyHashOutcome AddBinary(ReadOnlySpan<byte> binary) => Added(group.Scale is null
        ? KeyDecoder.TryBinary(group.KeyTypes[Next], TypeModifier, 0, binary, isAssignment: true, _hash, out _hash)
        : OrderedKeyDecoder.TryBinary(group.KeyTypes[Next], TypeModifier, 0, binary, isAssignment: true, _ordered));

    private KeyHashOutcome Added(KeyHashOutcome outcome)
    {
        _read++;
        return outcome;
    }
}
