using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace ShardProxy.DataPath.Types;

/// <summary>Translates the OIDs in the binary values of a node's rows, in place.</summary>
/// <param name="Map">From the node's numbers to the home node's.</param>
/// <param name="Columns">Per column its type on the node, or 0 where there is nothing to do.</param>
internal sealed record RowPatch(OidMap Map, uint[] Columns)
{
    /// <summary>Rows to be translated are read whole; a longer one is refused.</summary>
    public const int MaxRowBytes = 64 * 1024 * 1024;

    /// <summary>Translates the payload of a DataRow, or a row of binary COPY data.</summary>
    /// <returns>False when a value has a type in it that the other side is not known to have.</returns>
    public bool TryApply(Span<byte> row)
    {
        var at = 2;
        for (var i = 0; i < Columns.Length && at + 4 <= row.Length; i++)
        {
            var length = BinaryPrimitives.ReadInt32BigEndian(row[at..]);
            at += 4;
            if (length <= 0)
            {
                continue;
            }

            if (length > row.Length - at)
            {
                break;
            }

            if (Columns[i] != 0 && !Map.TryPatch(Columns[i], row.Slice(at, length)))
            {
                return false;
            }

            at += length;
        }

        return true;
    }

    /// <summary>Translates bytes that a connection's reader holds: nobody else reads them.</summary>
    public bool TryApply(in ReadOnlySequence<byte> row)
    {
        if (row.IsSingleSegment)
        {
            return TryApply(Writable(row.First));
        }

        var whole = ArrayPool<byte>.Shared.Rent((int)row.Length);
        try
        {
            var bytes = whole.AsSpan(0, (int)row.Length);
            row.CopyTo(bytes);
            var isDone = TryApply(bytes);
            CopyBack(bytes, row);
            return isDone;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(whole);
        }
    }

    /// <summary>Writes bytes over those that a connection's reader holds.</summary>
    public static void CopyBack(ReadOnlySpan<byte> bytes, in ReadOnlySequence<byte> to)
    {
        foreach (var segment in to)
        {
            bytes[..segment.Length].CopyTo(Writable(segment));
            bytes = bytes[segment.Length..];
        }
    }

    /// <summary>What a reader's memory is: a pipe's own, written by its filler only, which is past it.</summary>
    public static Span<byte> Writable(ReadOnlyMemory<byte> memory) => MemoryMarshal.AsMemory(memory).Span;
}
