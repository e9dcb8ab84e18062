using System.Collections.Immutable;
using ShardProxy.Model.Topology;

namespace ShardProxy.Admin.Backend;

/// <summary>Where placed tables are not the same on all nodes.</summary>
public interface IDriftView
{
    /// <summary>As of the last comparison, ordered by table; empty when nothing differs.</summary>
    ImmutableArray<DriftSnapshot> Drift();
}

/// <summary>One difference of a table between a node and the home node.</summary>
/// <param name="Table">The table.</param>
/// <param name="Node">The node's name.</param>
/// <param name="Difference">In words.</param>
public sealed record DriftSnapshot(QualifiedName Table, string Node, string Difference);
