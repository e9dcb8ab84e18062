using ShardProxy.Model.Routing;

namespace ShardProxy.Admin.Backend;

/// <summary>Where everything lives now.</summary>
public interface ITopologyView
{
    /// <summary>The current snapshot; read once a statement.</summary>
    RoutingTable Current { get; }

    /// <summary>What is known of a node's health; <see cref="NodeState.Unknown"/> for a node never reached.</summary>
    NodeState StateOf(int nodeId);
}
