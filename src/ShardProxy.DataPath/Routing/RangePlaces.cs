using System.Buffers;
using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>Where in the key space of a RANGE group the rows of a lookup lie. Warm, it allocates nothing.</summary>
internal static class RangePlaces
{
    [ThreadStatic]
    private static ArrayBufferWriter<byte>? _key;

    [ThreadStatic]
    private static ArrayBufferWriter<byte>? _limit;

    /// <summary>The first and the last position that rows of one choice of alternatives can have. Never fewer than they have; NoRow when there can be none.</summary>
    public static KeyOutcome Find(KeyLookup lookup, KeyScale scale, in KeyInput input, ReadOnlySpan<int> choice, out long first, out long last)
    {
        (first, last) = (long.MinValue, long.MaxValue);
        var key = _key ??= new ArrayBufferWriter<byte>(256);
        key.ResetWrittenCount();
        var reader = new OrderReader(key, input.IsUtc);
        var hasRow = true;
        for (var i = 0; i < lookup.Alternatives.Length; i++)
        {
            var outcome = Read(lookup, input, lookup.Alternatives[i][choice[i]], i, ref reader);
            if (outcome == KeyOutcome.Unproven)
            {
                return outcome;
            }

            hasRow &= outcome == KeyOutcome.Found;
        }

        if (!hasRow)
        {
            return KeyOutcome.NoRow;
        }

        if (lookup.Alternatives.Length == lookup.Table.KeyColumns.Length)
        {
            first = last = scale.PositionOf(key.WrittenSpan);
            return KeyOutcome.Found;
        }

        if (key.WrittenCount > 0)
        {
            (first, last) = (scale.PositionOf(key.WrittenSpan), scale.LastPositionOf(key.WrittenSpan, isInclusive: true));
        }

        foreach (var limit in lookup.Limits)
        {
            if (!Apply(limit, lookup, scale, input, key.WrittenSpan, ref first, ref last))
            {
                return KeyOutcome.NoRow;
            }
        }

        return first <= last ? KeyOutcome.Found : KeyOutcome.NoRow;
    }

    /// <summary>False when no row can be on that side.</summary>
    private static bool Apply(KeyLimit limit, KeyLookup lookup, KeyScale scale, in KeyInput input, ReadOnlySpan<byte> prefix, ref long first, ref long last)
    {
        var bytes = _limit ??= new ArrayBufferWriter<byte>(256);
        bytes.ResetWrittenCount();
        bytes.Write(prefix);
        var reader = new OrderReader(bytes, input.IsUtc);
        var isInclusive = limit.IsInclusive;
        for (var i = 0; i < limit.Values.Length; i++)
        {
            var outcome = Read(lookup, input, limit.Values[i], lookup.Alternatives.Length + i, ref reader);
            if (outcome == KeyOutcome.Found)
            {
                continue;
            }

            if (i == 0)
            {
                // Beyond NULL there is nothing; what cannot be told limits nothing.
                return outcome != KeyOutcome.NoRow;
            }

            // The values before it still say which rows cannot be meant.
            isInclusive = true;
            break;
        }

        if (limit.Side == BoundSide.Above)
        {
            first = Math.Max(first, scale.PositionOf(bytes.WrittenSpan));
        }
        else
        {
            last = Math.Min(last, scale.LastPositionOf(bytes.WrittenSpan, isInclusive));
        }

        return true;
    }

    private static KeyOutcome Read(KeyLookup lookup, in KeyInput input, in KeySource source, int keyColumn, ref OrderReader reader)
    {
        var column = lookup.Table.Columns[lookup.Table.KeyColumns[keyColumn]];
        return KeyTypes.FromOid(column.TypeOid) is { } type
            ? KeyResolver.Resolve(input, source, type, column.TypeModifier, lookup.IsAssignment, ref reader)
            : KeyOutcome.Unproven;
    }
}
