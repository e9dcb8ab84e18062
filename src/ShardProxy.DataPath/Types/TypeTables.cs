using System.Collections.Frozen;
using System.Collections.Immutable;
using ShardProxy.Model.Routing;

namespace ShardProxy.DataPath.Types;

/// <summary>The nodes' type tables as the routing table at hand has them. Read from any thread.</summary>
internal sealed class TypeTables
{
    private FrozenDictionary<int, TypeTable> _current = FrozenDictionary<int, TypeTable>.Empty;
    private ImmutableArray<NodeTypes> _source = [];

    /// <summary>The node's table; null when it numbers all types as the home node does, and is the home node in particular.</summary>
    public TypeTable? Of(int nodeId) => Volatile.Read(ref _current).GetValueOrDefault(nodeId);

    /// <summary>Some node numbers types otherwise.</summary>
    public bool HasAny => Volatile.Read(ref _current).Count > 0;

    /// <summary>Takes over what a routing table says. Tables of nodes of which nothing has changed stay the same.</summary>
    public void Update(ImmutableArray<NodeTypes> types)
    {
        if (types.SequenceEqual(_source))
        {
            return;
        }

        _source = types;
        var last = _current;
        Volatile.Write(ref _current, types.ToFrozenDictionary(t => t.NodeId, t => last.GetValueOrDefault(t.NodeId) is { } table && table.Source.Equals(t) ? table : TypeTable.Of(t)));
    }
}
