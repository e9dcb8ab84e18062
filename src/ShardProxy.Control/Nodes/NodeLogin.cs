using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Nodes;

/// <summary>
/// How the control plane logs in on a node, and how nodes log in on each other for a subscription: a superuser, because on
/// PostgreSQL 15 only a superuser may create subscriptions.
/// </summary>
/// <param name="User">Role name.</param>
/// <param name="Password">Its password.</param>
/// <param name="Database">The sharded database.</param>
public sealed record NodeLogin(string User, string Password, string Database)
{
    /// <summary>How far connections are encrypted. Nodes that connect to each other encrypt as far, but check no certificates.</summary>
    public NodeTls Tls { get; init; } = NodeTls.Preferred;

    /// <summary>Never shows the password.</summary>
    public override string ToString() => $"{User}@{Database}";
}
