using System.Collections.Immutable;

namespace ShardProxy.Model.Routing;

/// <summary>How values of a type look in binary, as far as OIDs of other types stand in them. A domain has the form of what it is over.</summary>
public enum TypeForm
{
    /// <summary>No OIDs: base types, enums.</summary>
    Plain,

    /// <summary>The element type's OID comes before the elements.</summary>
    Array,

    /// <summary>Each field has its type's OID before it.</summary>
    Composite,

    /// <summary>Up to two values of the element type.</summary>
    Range,

    /// <summary>Any number of ranges of the element type.</summary>
    Multirange,

    /// <summary>No type: a table or the like, of which columns are told to be.</summary>
    Relation,
}

/// <summary>One of the user's types, as two nodes number it.</summary>
/// <param name="Form">How its values look.</param>
/// <param name="Home">Its OID on the home node: the one clients know.</param>
/// <param name="Node">Its OID on the other node.</param>
/// <param name="Element">OID on the home node of the type that a range is over; 0 for other forms.</param>
public readonly record struct TypeTwin(TypeForm Form, uint Home, uint Node, uint Element);

/// <summary>
/// The user's types and relations that a node has in common with the home node, where the node numbers any of them otherwise or has types of its own: then what is not
/// among these cannot be translated. Nodes that number all alike have none of this.
/// </summary>
/// <param name="NodeId">The node, not the home node.</param>
/// <param name="Twins">Sorted by form and home OID.</param>
public sealed record NodeTypes(int NodeId, ImmutableArray<TypeTwin> Twins)
{
    /// <summary>Types below are PostgreSQL's own and the same everywhere: FirstNormalObjectId of transam.h.</summary>
    public const uint FirstUserOid = 16384;

    public bool Equals(NodeTypes? other) => other is not null && NodeId == other.NodeId && Twins.SequenceEqual(other.Twins);

    public override int GetHashCode() => HashCode.Combine(NodeId, Twins.Length);
}
