using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Admin.Backend;
using ShardProxy.Configuration;
using ShardProxy.Model.Topology;

namespace ShardProxy.Composition;

/// <summary>Reads table sizes from the nodes' catalogs, and whether a node answers at all.</summary>
internal sealed class TableSizeReader : ITableSizeSource, IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);

    private readonly TopologyView _topology;
    private readonly Dictionary<string, NpgsqlDataSource> _sources;

    public TableSizeReader(TopologyView topology, IReadOnlyList<NodeOptions> nodes, string database, string proxyId)
    {
        _topology = topology;
        _sources = nodes.ToDictionary(
            n => n.Name, n => NpgsqlDataSource.Create(ProxyComposition.ConnectionString(n.Address with { Database = database }, proxyId)), StringComparer.Ordinal);
    }

    public async ValueTask<ImmutableArray<TableSize>> ReadAsync(CancellationToken cancellationToken)
    {
        var sizes = ImmutableArray.CreateBuilder<TableSize>();
        foreach (var node in _topology.Current.Nodes)
        {
            try
            {
                await using var command = _sources[node.Name].CreateCommand(TableSizeQuery.Text);
                await using var reader = await command.ExecuteReaderAsync(cancellationToken);
                while (await reader.ReadAsync(cancellationToken))
                {
                    sizes.Add(new TableSize(node.Id, new QualifiedName(reader.GetString(0), reader.GetString(1)), reader.GetDouble(2), reader.GetDouble(3)));
                }
            }
            catch (NpgsqlException)
            {
                // A node that is away has no sizes now; its state is shown elsewhere.
            }
        }

        return sizes.ToImmutable();
    }

    /// <summary>Whether the node answers a query within the deadline.</summary>
    public async Task<bool> AnswersAsync(string node, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(Deadline);
        try
        {
            await using var command = _sources[node].CreateCommand("SELECT 1");
            await command.ExecuteScalarAsync(deadline.Token);
            return true;
        }
        catch (Exception e) when (e is NpgsqlException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var source in _sources.Values)
        {
            await source.DisposeAsync();
        }
    }
}
