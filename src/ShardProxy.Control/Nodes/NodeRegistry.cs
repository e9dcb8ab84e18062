using System.Collections.Immutable;
using System.Security.Cryptography;
using ShardProxy.Catalog;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Nodes;

/// <summary>Brings the configured nodes into the catalog, where they get their ids.</summary>
public sealed class NodeRegistry(RoutingCatalog catalog, NodeAdmin admin)
{
    /// <summary>
    /// Registers nodes by name: a known one takes its configured address and capacity, a new one the next id. Nodes in the catalog that
    /// are not configured stay: they may own ranges. Prepares every node's schema.
    /// </summary>
    /// <param name="configured">In order; ids are ignored. Exactly one is the home node.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public async Task<CatalogState> RegisterAsync(ImmutableArray<Node> configured, CancellationToken cancellationToken)
    {
        var state = await catalog.TryUpdateAsync(s => Merge(s, configured), cancellationToken) ?? await catalog.LoadAsync(cancellationToken);
        await Task.WhenAll(state.Nodes.Select(n => admin.BootstrapAsync(n, cancellationToken)));
        return state;
    }

    private static CatalogState? Merge(CatalogState state, ImmutableArray<Node> configured)
    {
        var nodes = state.Nodes;
        var next = state.NextNodeId;
        foreach (var node in configured)
        {
            if (nodes.FirstOrDefault(n => n.Name == node.Name) is { } known)
            {
                // The home node holds unsharded tables and the catalog: another one in the configuration cannot make it another.
                nodes = nodes.Replace(known, node with { Id = known.Id, IsHome = known.IsHome });
            }
            else
            {
                nodes = nodes.Add(node with { Id = next++, IsHome = node.IsHome && nodes.All(n => !n.IsHome) });
            }
        }

        var tag = state is { ClusterTag: "", Moves.IsEmpty: true } ? RandomNumberGenerator.GetHexString(6, lowercase: true) : state.ClusterTag;
        return nodes.SequenceEqual(state.Nodes) && tag == state.ClusterTag ? null : state with { Nodes = nodes, NextNodeId = next, ClusterTag = tag };
    }
}
