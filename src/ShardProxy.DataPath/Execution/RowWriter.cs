using System.Buffers;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>Writes DataRow messages the proxy makes itself.</summary>
internal static class RowWriter
{
    /// <summary>One row; null is SQL NULL.</summary>
    public static void Write(IBufferWriter<byte> to, IReadOnlyList<byte[]?> values)
    {
        MessageWriter.Header(to, BackendTag.DataRow, 2 + values.Sum(v => 4 + (v?.Length ?? 0)));
        MessageWriter.Int16(to, (short)values.Count);
        foreach (var value in values)
        {
            MessageWriter.Int32(to, value?.Length ?? -1);
            if (value is not null)
            {
                to.Write(value);
            }
        }
    }
}
