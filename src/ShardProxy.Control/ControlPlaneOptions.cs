using System.Collections.Immutable;
using ShardProxy.Control.Migration;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control;

/// <summary>What the control plane needs from the configuration.</summary>
public sealed record ControlPlaneOptions
{
    /// <summary>This proxy's id.</summary>
    public required string ProxyId { get; init; }

    /// <summary>Under which name this process is known to the others and to the nodes; null for one that is alone for certain.</summary>
    public ProxyIdentity? Identity { get; init; }

    /// <summary>Where clients connect, for people.</summary>
    public string Address { get; init; } = "";

    /// <summary>A proxy that says nothing for so long is barred from the nodes.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The nodes by name, address and capacity; ids are given by the catalog.</summary>
    public required ImmutableArray<Node> Nodes { get; init; }

    /// <summary>Superuser credentials by node.</summary>
    public required Func<Node, NodeLogin> Login { get; init; }

    /// <summary>Another process of this proxy still serves clients: nothing may be placed or moved.</summary>
    public Func<bool> IsHandingOver { get; init; } = () => false;

    /// <summary>The part of the fleet that is this process; null when that is all of it.</summary>
    public IProxyFleet? Self { get; init; }

    public MigrationOptions Migration { get; init; } = new();

    /// <summary>How often prepared transactions without a coordinator are looked for.</summary>
    public TimeSpan InDoubtInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Younger prepared transactions are left to their coordinator.</summary>
    public TimeSpan InDoubtAge { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How often ranges of RANGE groups whose keys are not known yet are looked for.</summary>
    public TimeSpan KeyLearningInterval { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>How often the nodes' tables and types are compared, for what was done on a node directly.</summary>
    public TimeSpan DriftInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often the leading proxy asks the nodes what an operator may have to be woken for.</summary>
    public TimeSpan WatchInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Where this process's data path asks for the freshness of copies, and the table it routes by; null where nobody does.</summary>
    public (ReadAheadBoard Board, Func<RoutingTable> Current)? ReadAhead { get; init; }

    /// <summary>How long the lease on the control plane lasts without renewal.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(15);
}
