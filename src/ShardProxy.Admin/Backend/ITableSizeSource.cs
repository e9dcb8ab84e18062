using System.Collections.Immutable;

namespace ShardProxy.Admin.Backend;

/// <summary>Reads the sizes of sharded tables from every node's catalog.</summary>
public interface ITableSizeSource
{
    /// <summary>
    /// Sizes of sharded tables on all nodes that answer; a node that does not is left out. <see cref="TableSizeQuery.Text"/> is the
    /// query to run on each.
    /// </summary>
    ValueTask<ImmutableArray<TableSize>> ReadAsync(CancellationToken cancellationToken);
}
