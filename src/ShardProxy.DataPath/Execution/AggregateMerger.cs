using System.Buffers.Binary;
using System.Text;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>Combines partial aggregates of several nodes, given and returned as PostgreSQL's text, exactly (DESIGN law 1).</summary>
internal static class AggregateMerger
{
    private const uint Int8 = 20, Int2 = 21, Int4 = 23, Numeric = 1700;

    /// <summary>True when results of that type can be combined.</summary>
    public static bool CanMerge(uint typeOid) => typeOid is Int8 or Int2 or Int4 or Numeric;

    /// <summary>Combines one column's partial values; null partials are nodes without rows. False when a value is NaN or infinite.</summary>
    public static bool TryMerge(AggregateFunction function, IEnumerable<byte[]?> partials, out ExactDecimal? merged)
    {
        merged = null;
        foreach (var partial in partials)
        {
            if (partial is null)
            {
                continue;
            }

            if (!ExactDecimal.TryParse(partial, out var value))
            {
                return false;
            }

            merged = merged is not { } before ? value : function switch
            {
                AggregateFunction.Min => value < before ? value : before,
                AggregateFunction.Max => value > before ? value : before,
                _ => before + value,
            };
        }

        return true;
    }

    /// <summary>Encodes a combined value; null when an integer type cannot hold it.</summary>
    public static byte[]? Encode(ExactDecimal value, uint typeOid, bool binary)
    {
        if (typeOid != Numeric && (value.Scale != 0 || value.Unscaled < long.MinValue || value.Unscaled > long.MaxValue))
        {
            return null;
        }

        if (!binary)
        {
            return Encoding.ASCII.GetBytes(value.ToString());
        }

        if (typeOid == Numeric)
        {
            return value.ToBinary();
        }

        var bytes = new byte[typeOid switch { Int8 => 8, Int4 => 4, _ => 2 }];
        var number = (long)value.Unscaled;
        switch (bytes.Length)
        {
            case 8:
                BinaryPrimitives.WriteInt64BigEndian(bytes, number);
                break;
            case 4:
                BinaryPrimitives.WriteInt32BigEndian(bytes, (int)number);
                break;
            default:
                BinaryPrimitives.WriteInt16BigEndian(bytes, (short)number);
                break;
        }

        return bytes;
    }
}
