using System.Buffers.Binary;
using System.Security.Cryptography;
using ShardProxy.Wire.Framing;

namespace ShardProxy.DataPath.Shadowing;

/// <summary>
/// A result as a multiset of rows, whatever their order: how many there are, and the sum of a hash of each. Sums, since XOR would cancel equal rows. Rows are added as
/// they come from the server and are not kept. Not thread-safe.
/// </summary>
internal sealed class RowDigest
{
    /// <summary>Longer results are not compared: they would keep others waiting.</summary>
    private const int MaxRows = 20_000;

    private const long MaxBytes = 8 << 20;

    private UInt128 _rows;
    private UInt128 _columns;
    private long _bytes;
    private int _count;

    /// <summary>There is more than anybody wants to look at; what was added is not the result.</summary>
    public bool IsTooLarge => _count > MaxRows || _bytes > MaxBytes;

    /// <summary>Takes the columns' names from a RowDescription: what is called otherwise is not compared.</summary>
    public void Describe(ReadOnlySpan<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var names = new MemoryStream();
        for (var left = reader.ReadInt16(); left > 0; left--)
        {
            names.Write(reader.ReadCString());
            names.WriteByte(0);

            // Table, column, type, its size and modifier, and the format: numbers of the node's own.
            reader.ReadBytes(18);
        }

        _columns = HashOf(names.GetBuffer().AsSpan(0, (int)names.Length));
    }

    /// <summary>Adds a row by its DataRow's payload: lengths and values as text.</summary>
    public void Add(ReadOnlySpan<byte> payload)
    {
        _bytes += payload.Length;
        _count++;
        _rows = unchecked(_rows + HashOf(payload));
    }

    /// <summary>The two results have the same columns, so that their rows can be compared.</summary>
    public bool IsComparableWith(RowDigest other) => _columns == other._columns;

    /// <summary>The same rows, as often.</summary>
    public bool HasRowsOf(RowDigest other) => _count == other._count && _rows == other._rows;

    private static UInt128 HashOf(ReadOnlySpan<byte> bytes)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        return BinaryPrimitives.ReadUInt128LittleEndian(hash);
    }
}
