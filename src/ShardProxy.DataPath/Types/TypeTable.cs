using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Frozen;
using ShardProxy.DataPath.Routing;
using ShardProxy.Model.Routing;
using ShardProxy.Wire.Framing;

namespace ShardProxy.DataPath.Types;

/// <summary>
/// How one node numbers the user's types, and the messages of PostgreSQL's protocol ("Message Formats") in which that matters. Clients know the home node's numbers only.
/// Immutable.
/// </summary>
internal sealed class TypeTable
{
    private const int OidBytes = 4, TypeModifierBytes = 4;

    private TypeTable(NodeTypes source, OidMap toHome, OidMap toNode) => (Source, ToHome, ToNode) = (source, toHome, toNode);

    public NodeTypes Source { get; }

    /// <summary>From the node's numbers to the home node's.</summary>
    public OidMap ToHome { get; }

    /// <summary>From the home node's numbers to the node's.</summary>
    public OidMap ToNode { get; }

    public static TypeTable Of(NodeTypes source)
    {
        var types = source.Twins.Where(t => t.Form != TypeForm.Relation).ToArray();
        var relations = source.Twins.Where(t => t.Form == TypeForm.Relation).ToArray();
        var toNode = types.ToDictionary(t => t.Home, t => t.Node);
        return new TypeTable(
            source,
            new OidMap(
                types.ToFrozenDictionary(t => t.Node, t => new OidMap.Entry(t.Home, t.Form, toNode.GetValueOrDefault(t.Element, t.Element))),
                relations.ToFrozenDictionary(t => t.Node, t => t.Home)),
            new OidMap(types.ToFrozenDictionary(t => t.Home, t => new OidMap.Entry(t.Node, t.Form, t.Element)), relations.ToFrozenDictionary(t => t.Home, t => t.Node)));
    }

    /// <summary>Translates a RowDescription from the node, in place.</summary>
    /// <param name="description">Its payload.</param>
    /// <param name="keepsTypes">Somebody remembers the types.</param>
    /// <param name="types">The columns' types on the home node, if somebody does; else empty.</param>
    /// <param name="patch">What has to be done with the rows it describes; null for nothing.</param>
    /// <returns>False when a column is of a type the home node is not known to have.</returns>
    /// <exception cref="ProtocolException">It is malformed.</exception>
    public bool TryDescribeRow(Span<byte> description, bool keepsTypes, out uint[] types, out RowPatch? patch)
    {
        var reader = new PayloadReader(description);
        var count = reader.ReadInt16();
        types = keepsTypes ? new uint[count] : [];
        patch = null;
        for (var i = 0; i < count; i++)
        {
            reader.ReadCString();
            var relation = reader.Position;
            BinaryPrimitives.WriteUInt32BigEndian(description[relation..], ToHome.Relation(reader.ReadUInt32()));
            reader.ReadInt16();
            var at = reader.Position;
            var type = reader.ReadUInt32();
            if (!ToHome.TryMap(type, out var mapped))
            {
                return false;
            }

            BinaryPrimitives.WriteUInt32BigEndian(description[at..], mapped);
            if (keepsTypes)
            {
                types[i] = mapped;
            }

            reader.ReadInt16();
            reader.ReadBytes(TypeModifierBytes);
            if (reader.ReadInt16() == 1 && ToHome.IsDeep(type))
            {
                (patch ??= new RowPatch(ToHome, new uint[count])).Columns[i] = type;
            }
        }

        return true;
    }

    /// <summary>Translates a ParameterDescription from the node, in place.</summary>
    /// <returns>False when a parameter is of a type the home node is not known to have.</returns>
    /// <exception cref="ProtocolException">It is malformed.</exception>
    public bool TryDescribeParameters(Span<byte> description, out uint[] types)
    {
        var reader = new PayloadReader(description);
        types = new uint[reader.ReadInt16()];
        for (var i = 0; i < types.Length; i++)
        {
            var at = reader.Position;
            if (!ToHome.TryMap(reader.ReadUInt32(), out types[i]))
            {
                return false;
            }

            BinaryPrimitives.WriteUInt32BigEndian(description[at..], types[i]);
        }

        return true;
    }

    /// <summary>What has to be done with the node's rows of a portal.</summary>
    /// <param name="types">The columns' types on the home node.</param>
    /// <param name="formats">The result formats of its Bind: none (text), one for all, or one a column.</param>
    public RowPatch? PatchFor(uint[] types, short[] formats)
    {
        RowPatch? patch = null;
        for (var i = 0; i < types.Length && formats.Length > 0; i++)
        {
            if ((formats.Length == 1 ? formats[0] : i < formats.Length ? formats[i] : 0) == 1 && ToNode.IsDeep(types[i]) && ToNode.TryMap(types[i], out var type))
            {
                (patch ??= new RowPatch(ToHome, new uint[types.Length])).Columns[i] = type;
            }
        }

        return patch;
    }

    /// <summary>True when all the types are known on the node; 0 stands for a type that the server has to find.</summary>
    public bool Knows(ReadOnlySpan<uint> types)
    {
        foreach (var type in types)
        {
            if (!ToNode.TryMap(type, out _))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Types of parameters in the node's numbers: the same array when nothing changes.</summary>
    /// <exception cref="Model.Errors.ShardProxyException">The node is not known to have one of them.</exception>
    public uint[] TypesOnNode(uint[] types)
    {
        if (!HasUserTypes(types))
        {
            return types;
        }

        var mapped = new uint[types.Length];
        for (var i = 0; i < types.Length; i++)
        {
            if (!ToNode.TryMap(types[i], out mapped[i]))
            {
                throw new Model.Errors.ShardProxyException(RoutingErrors.TypeUnknown);
            }
        }

        return mapped;
    }

    /// <summary>The binary values of a Bind that have OIDs in them, translated for the node; empty when there are none, and the message holds as it is.</summary>
    /// <param name="parameters">The Bind.</param>
    /// <param name="types">Types of the parameters on the home node, as far as they are known.</param>
    /// <returns>A copy of the payload.</returns>
    /// <exception cref="Model.Errors.ShardProxyException">The node is not known to have one of the types.</exception>
    public byte[] ValuesOnNode(BoundParameters parameters, ReadOnlySpan<uint> types)
    {
        byte[] copy = [];
        for (var i = 0; i < parameters.Count && i < types.Length; i++)
        {
            if (!parameters.IsBinary(i) || parameters.IsNull(i) || !ToNode.IsDeep(types[i]))
            {
                continue;
            }

            copy = copy.Length == 0 ? parameters.Payload.ToArray() : copy;
            var (offset, length) = parameters.Place(i);
            if (!ToNode.TryPatch(types[i], copy.AsSpan(offset, length)))
            {
                throw new Model.Errors.ShardProxyException(RoutingErrors.TypeUnknown);
            }
        }

        return copy;
    }

    /// <summary>True when a parameter may have OIDs in it and nobody has said of what type it is.</summary>
    public static bool IsOpen(BoundParameters parameters, ReadOnlySpan<uint> types)
    {
        // Count of fields, a field's type and its length; an array's head is as long.
        const int Smallest = 12;
        for (var i = 0; i < parameters.Count; i++)
        {
            if (parameters.IsBinary(i) && (i >= types.Length || types[i] == 0) && !parameters.IsNull(i) && parameters.Value(i).Length >= Smallest)
            {
                return true;
            }
        }

        return false;
    }

    public static bool HasUserTypes(ReadOnlySpan<uint> types) => types.ContainsAnyInRange(NodeTypes.FirstUserOid, uint.MaxValue);
}
