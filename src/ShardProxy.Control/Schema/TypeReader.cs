using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Schema;

/// <summary>
/// Compares how the nodes number the user's types. PostgreSQL gives a type the next free number when it is made, so that the same DDL on two nodes makes two
/// numbers; clients learn the home node's.
/// </summary>
internal static class TypeReader
{
    /// <summary>Of each node that numbers them otherwise than the home node, in the order of the nodes' ids.</summary>
    /// <param name="connections">To the nodes.</param>
    /// <param name="nodes">All of them.</param>
    /// <param name="known">What was read last: holds for a node that cannot be asked now.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public static async Task<ImmutableArray<NodeTypes>> ReadAsync(
        NodeConnections connections, ImmutableArray<Node> nodes, ImmutableArray<NodeTypes> known, CancellationToken cancellationToken)
    {
        var others = nodes.Where(n => !n.IsHome).OrderBy(n => n.Id).ToArray();
        if (others.Length == 0)
        {
            return [];
        }

        var home = await ReadAsync(connections, nodes.Single(n => n.IsHome), cancellationToken);
        var read = await Task.WhenAll(others.Select(async node =>
        {
            try
            {
                return UserType.Compare(node.Id, home, await ReadAsync(connections, node, cancellationToken));
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException)
            {
                return known.FirstOrDefault(k => k.NodeId == node.Id);
            }
        }));
        return [.. read.OfType<NodeTypes>()];
    }

    private static async Task<IReadOnlyDictionary<string, UserType>> ReadAsync(NodeConnections connections, Node node, CancellationToken cancellationToken)
    {
        await using var connection = await connections.OpenAsync(node, cancellationToken);
        return UserType.Read(await connection.RowsAsync(
            UserType.Sql,
            r => new UserTypeRow((uint)r.GetInt64(0), r.GetString(1), r.GetString(2)[0], (uint)r.GetInt64(3), (uint)r.GetInt64(4), (uint)r.GetInt64(5)),
            cancellationToken));
    }
}
