using System.Collections.Immutable;
using ShardProxy.Admin.Backend;
using ShardProxy.Control;

namespace ShardProxy.Composition;

/// <summary>The differences between the nodes' tables as the admin side shows them.</summary>
internal sealed class DriftView(ControlPlane control) : IDriftView
{
    public ImmutableArray<DriftSnapshot> Drift() => [.. control.Drift.Select(d => new DriftSnapshot(d.Table, d.Node, d.Difference))];
}
