using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Tables;

/// <summary>Turns values as an operator writes them into a point of a group's key space: the home node reads them as it would any value of their type.</summary>
internal sealed class KeyBoundReader(RoutingCatalog catalog, NodeConnections connections)
{
    /// <exception cref="ShardProxyException">SHP-501, 516.</exception>
    public async Task<KeyBound> ReadAsync(int rangeId, ImmutableArray<string> key, CancellationToken cancellationToken)
    {
        var state = await catalog.LoadAsync(cancellationToken);
        var range = state.FindRange(rangeId) ?? throw new ShardProxyException(ControlErrors.RangeUnknown(rangeId));
        var types = state.Groups.Single(g => g.Id == range.GroupId).KeyTypes;
        if (key.Length > types.Length)
        {
            throw new ShardProxyException(ControlErrors.SplitKeyCount(types.Length));
        }

        await using var home = await connections.OpenAsync(state.Nodes.Single(n => n.IsHome), cancellationToken);
        await home.RunAsync(KeySample.Pins, cancellationToken);
        var values = ImmutableArray.CreateBuilder<string>(key.Length);
        for (var i = 0; i < key.Length; i++)
        {
            var type = KeyTypes.FamilySql(types[i]);
            try
            {
                values.Add(await home.ScalarAsync<string>($"SELECT $1::pg_catalog.text::{type}::pg_catalog.text", cancellationToken, key[i]) ?? "");
            }
            catch (PostgresException e) when (e.SqlState.StartsWith("22", StringComparison.Ordinal))
            {
                throw new ShardProxyException(ControlErrors.SplitKeyInvalid(i + 1, type["pg_catalog.".Length..]), e);
            }
        }

        return KeyBound.TryParse(types, values.ToImmutable()) ?? throw new ShardProxyException(ControlErrors.SplitKeyInvalid(values.Count, "key within the supported bounds"));
    }
}
