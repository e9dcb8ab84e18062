using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using ShardProxy.Model.Keys;
using ShardProxy.Model.Topology;

namespace ShardProxy.Model.Routing;

/// <summary>
/// A point in the key space of a RANGE group: values for the key's first columns, or for all. It lies right before every key that begins with them.
/// </summary>
public sealed class KeyBound
{
    private readonly byte[] _ordered;

    private KeyBound(ImmutableArray<string> values, byte[] ordered)
    {
        Values = values;
        _ordered = ordered;
    }

    /// <summary>Values in the key types' text form under <c>DateStyle ISO</c> and <c>TimeZone UTC</c>; one to as many as the key has columns.</summary>
    public ImmutableArray<string> Values { get; }

    /// <summary>As <see cref="KeyOrder"/> has it.</summary>
    public ReadOnlySpan<byte> Ordered => _ordered;

    /// <summary>Reads a bound from text values; null when one is none of its type or of a form that is not understood.</summary>
    public static KeyBound? TryParse(ImmutableArray<KeyType> types, ImmutableArray<string> values)
    {
        if (values.IsDefaultOrEmpty || values.Length > types.Length)
        {
            return null;
        }

        var ordered = new ArrayBufferWriter<byte>();
        for (var i = 0; i < values.Length; i++)
        {
            if (OrderedKeyDecoder.TryText(types[i], -1, 0, Encoding.UTF8.GetBytes(values[i]), isAssignment: false, isUtc: true, ordered) != KeyHashOutcome.Ok)
            {
                return null;
            }
        }

        return new KeyBound(values, ordered.WrittenSpan.ToArray());
    }

    /// <summary>The one value, or several as a row: <c>(7, 'a')</c>.</summary>
    public override string ToString() => Values.Length == 1 ? Values[0] : $"({string.Join(", ", Values.Select(SqlIdentifier.Literal))})";
}
