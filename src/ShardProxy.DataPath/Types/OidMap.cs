using System.Buffers.Binary;
using System.Collections.Frozen;
using ShardProxy.Model.Routing;

namespace ShardProxy.DataPath.Types;

/// <summary>
/// Translates type OIDs from one node's numbers to another's, also where they stand inside binary values (array_send, record_send, range_send and
/// multirange_send of PostgreSQL's sources). An OID is four bytes on both sides: values are changed in place and keep their length.
/// </summary>
internal sealed class OidMap
{
    // PostgreSQL's own types whose values have OIDs of any types in them: record, record[], anyarray.
    private const uint Record = 2249, RecordArray = 2287, AnyArray = 2277;

    // Deeper values are nobody's; their levels are walked by recursion.
    private const int MaxDepth = 100;

    private readonly FrozenDictionary<uint, Entry> _types;
    private readonly FrozenDictionary<uint, uint> _relations;

    /// <param name="types">OID on the side that is read, to what becomes of it.</param>
    /// <param name="relations">Relations' OIDs likewise.</param>
    public OidMap(FrozenDictionary<uint, Entry> types, FrozenDictionary<uint, uint> relations)
    {
        _types = types;
        _relations = relations;
    }

    /// <summary>Translates a type's OID; false when the other side is not known to have the type.</summary>
    public bool TryMap(uint oid, out uint mapped)
    {
        mapped = oid;
        if (oid < NodeTypes.FirstUserOid)
        {
            return true;
        }

        var isKnown = _types.TryGetValue(oid, out var entry);
        mapped = entry.Other;
        return isKnown;
    }

    /// <summary>Translates a relation's OID; 0, which stands for none, when the other side is not known to have it.</summary>
    public uint Relation(uint oid) => oid < NodeTypes.FirstUserOid ? oid : _relations.GetValueOrDefault(oid);

    /// <summary>True when binary values of the type have OIDs in them that may differ.</summary>
    public bool IsDeep(uint oid) => oid is Record or RecordArray or AnyArray || (oid >= NodeTypes.FirstUserOid && _types.TryGetValue(oid, out var entry) && entry.Form != TypeForm.Plain);

    /// <summary>Translates what stands in a binary value of a type of the side that is read. A value that is not well formed stays as it is from there on: who reads it says so.</summary>
    /// <returns>False when it has a type in it that the other side is not known to have.</returns>
    public bool TryPatch(uint oid, Span<byte> value) => TryPatch(oid, value, MaxDepth);

    private bool TryPatch(uint oid, Span<byte> value, int depth)
    {
        if (depth == 0)
        {
            return false;
        }

        var entry = oid switch
        {
            Record => new Entry(oid, TypeForm.Composite, 0),
            RecordArray or AnyArray => new Entry(oid, TypeForm.Array, 0),
            _ => oid < NodeTypes.FirstUserOid ? default : _types.GetValueOrDefault(oid),
        };
        switch (entry.Form)
        {
            case TypeForm.Array:
                return TryPatchArray(value, depth);
            case TypeForm.Composite:
                return TryPatchFields(value, depth);
            case TypeForm.Range:
                return !IsDeep(entry.Element) || TryPatchRange(entry.Element, value, depth);
            case TypeForm.Multirange:
                return !IsDeep(entry.Element) || TryPatchMultirange(entry.Element, value, depth);
            default:
                return true;
        }
    }

    // Dimensions, flags, element type, length and lower bound a dimension; then the elements, each behind its length.
    private bool TryPatchArray(Span<byte> value, int depth)
    {
        const int Head = 12, Dimension = 8;
        if (value.Length < Head)
        {
            return true;
        }

        var dimensions = BinaryPrimitives.ReadInt32BigEndian(value);
        if (!TryPatchOid(value[8..], out var element))
        {
            return false;
        }

        if (dimensions is < 0 or > 6 || value.Length < Head + (dimensions * Dimension) || !IsDeep(element))
        {
            return true;
        }

        var rest = value[(Head + (dimensions * Dimension))..];
        while (TryTake(ref rest, out var item))
        {
            if (!TryPatch(element, item, depth - 1))
            {
                return false;
            }
        }

        return true;
    }

    // Count; then the fields, each behind its type and length.
    private bool TryPatchFields(Span<byte> value, int depth)
    {
        for (var rest = value.Length < 4 ? [] : value[4..]; rest.Length >= 4;)
        {
            if (!TryPatchOid(rest, out var type))
            {
                return false;
            }

            rest = rest[4..];
            if (!TryTake(ref rest, out var field))
            {
                return true;
            }

            if (!TryPatch(type, field, depth - 1))
            {
                return false;
            }
        }

        return true;
    }

    // Flags; then the bounds there are, each behind its length.
    private bool TryPatchRange(uint element, Span<byte> value, int depth)
    {
        for (var rest = value.IsEmpty ? [] : value[1..]; TryTake(ref rest, out var bound);)
        {
            if (!TryPatch(element, bound, depth - 1))
            {
                return false;
            }
        }

        return true;
    }

    private bool TryPatchMultirange(uint element, Span<byte> value, int depth)
    {
        for (var rest = value.Length < 4 ? [] : value[4..]; TryTake(ref rest, out var range);)
        {
            if (!TryPatchRange(element, range, depth - 1))
            {
                return false;
            }
        }

        return true;
    }

    // The type as it was, for what follows is still in that side's numbers.
    private bool TryPatchOid(Span<byte> at, out uint oid)
    {
        oid = BinaryPrimitives.ReadUInt32BigEndian(at);
        if (!TryMap(oid, out var mapped))
        {
            return false;
        }

        BinaryPrimitives.WriteUInt32BigEndian(at, mapped);
        return true;
    }

    // A value behind its length; empty for NULL. False at the end, or where it is not well formed.
    private static bool TryTake(ref Span<byte> rest, out Span<byte> value)
    {
        value = [];
        if (rest.Length < 4)
        {
            return false;
        }

        var length = BinaryPrimitives.ReadInt32BigEndian(rest);
        rest = rest[4..];
        if (length > rest.Length)
        {
            return false;
        }

        if (length > 0)
        {
            value = rest[..length];
            rest = rest[length..];
        }

        return true;
    }

    /// <param name="Other">The type's OID on the other side.</param>
    /// <param name="Form">How its values look.</param>
    /// <param name="Element">OID, on the side that is read, of the type a range is over.</param>
    public readonly record struct Entry(uint Other, TypeForm Form, uint Element);
}
