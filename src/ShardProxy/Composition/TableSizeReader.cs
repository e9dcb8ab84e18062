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

    // Somebody may ask for a table for himself between the question whether he does and the lock.
    private const string Options = "-c lock_timeout=100ms";

    private readonly ITopologyView _topology;
    private readonly Dictionary<string, NpgsqlDataSource> _sources;

    public TableSizeReader(ITopologyView topology, IReadOnlyList<NodeOptions> nodes, string database, string proxyId)
    {
        _topology = topology;
        _sources = nodes.ToDictionary(
            n => n.Name,
            n => NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(ProxyComposition.ConnectionString(n.Address with { Database = database }, proxyId)) { Options = Options }),
            StringComparer.Ordinal);
    }

    public async ValueTask<ImmutableArray<TableSize>> ReadAsync(CancellationToken cancellationToken)
    {
        var sizes = ImmutableArray.CreateBuilder<TableSize>();
        var routing = _topology.Current;
        var tables = routing.Tables.Where(t => t.Placement == TablePlacement.Sharded).Select(t => t.Name).ToArray();
        if (tables.Length == 0)
        {
            return [];
        }

        foreach (var node in routing.Nodes)
        {
            try
            {
                await using var command = _sources[node.Name].CreateCommand(TableSizeQuery.Text);
                command.Parameters.Add(new() { Value = tables.Select(t => t.Schema).ToArray() });
                command.Parameters.Add(new() { Value = tables.Select(t => t.Name).ToArray() });
                await using var reader = await command.ExecuteReaderAsync(cancellationToken);
                while (await reader.ReadAsync(cancellationToken))
                {
                    sizes.Add(new TableSize(node.Id, new QualifiedName(reader.GetString(0), reader.GetString(1)), reader.GetDouble(2), reader.GetDouble(3)));
                }
            }
            catch (NpgsqlException)
            {
                // A node that is away, or has a table that nobody else may touch now, has no sizes now; its state is shown elsewhere.
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
