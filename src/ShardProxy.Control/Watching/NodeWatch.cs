using System.Collections.Immutable;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Control.Migration;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Watching;

/// <summary>
/// What an operator has to be woken for and only the nodes know: WAL kept back by a migration's slot, replicas that fall behind, prepared transactions that
/// stay, migrations that stand still. The proxy that leads asks in rounds of its own; whoever wants the figures gets those of the last round.
/// </summary>
/// <param name="catalog">Says which nodes there are.</param>
/// <param name="connections">To them.</param>
/// <param name="migrations">SHOW MIGRATIONS.</param>
/// <param name="time">The clock.</param>
public sealed class NodeWatch(RoutingCatalog catalog, NodeConnections connections, Func<ImmutableArray<Node>, ImmutableArray<MigrationView>> migrations, TimeProvider time)
{
    private const string Slots = """
        SELECT slot_name::text, active, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint,
               coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint
        FROM pg_replication_slots WHERE starts_with(slot_name::text, 'shardproxy_') AND database = current_database() ORDER BY 1
        """;

    // Logical senders feed subscriptions: their lag is that of their slot.
    private const string Replicas = """
        SELECT count(*), coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)), 0)::bigint, extract(epoch FROM max(r.replay_lag))::float8
        FROM pg_stat_replication r
        WHERE r.state IN ('streaming', 'catchup') AND NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
        """;

    private const string Prepared = """
        SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(prepared)), 0)::float8
        FROM pg_prepared_xacts WHERE database = current_database() AND starts_with(gid, 'shardproxy:')
        """;

    private readonly Dictionary<int, Seen> _seen = [];
    private volatile Figures _figures = new([], [], []);

    /// <summary>By node and slot.</summary>
    public ImmutableArray<SlotFigures> LastSlots => _figures.Slots;

    /// <summary>Nodes that answered, by id.</summary>
    public ImmutableArray<NodeFigures> LastNodes => _figures.Nodes;

    /// <summary>Migrations under way, by id.</summary>
    public ImmutableArray<MigrationFigures> LastMigrations => _figures.Migrations;

    /// <summary>One round. A node that does not answer has no figures until it does: another metric says that it is away.</summary>
    /// <returns>How many nodes answered.</returns>
    public async Task<int> RoundAsync(CancellationToken cancellationToken)
    {
        var nodes = (await catalog.LoadAsync(cancellationToken)).Nodes;
        var slots = ImmutableArray.CreateBuilder<SlotFigures>();
        var figures = ImmutableArray.CreateBuilder<NodeFigures>();
        foreach (var node in nodes.OrderBy(n => n.Id))
        {
            try
            {
                await using var connection = await connections.OpenAsync(node, cancellationToken);
                var found = await connection.RowsAsync(Slots, r => new SlotFigures(node.Name, r.GetString(0), r.GetBoolean(1), r.GetInt64(2), r.GetInt64(3)), cancellationToken);
                var (replicas, bytes, seconds) = (await connection.RowsAsync(
                    Replicas, r => (r.GetInt64(0), r.GetInt64(1), r.IsDBNull(2) ? null : (double?)r.GetDouble(2)), cancellationToken)).Single();
                var (prepared, age) = (await connection.RowsAsync(Prepared, r => (r.GetInt64(0), r.GetDouble(1)), cancellationToken)).Single();
                slots.AddRange(found);
                figures.Add(new NodeFigures(node.Name, replicas, bytes, seconds, prepared, age));
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException)
            {
                // Another time.
            }
        }

        _figures = new Figures(slots.ToImmutable(), figures.ToImmutable(), Watched(nodes));
        return figures.Count;
    }

    /// <summary>Another proxy leads, and tells.</summary>
    public void Forget()
    {
        _figures = new([], [], []);
        _seen.Clear();
    }

    private ImmutableArray<MigrationFigures> Watched(ImmutableArray<Node> nodes)
    {
        var running = migrations(nodes).Where(m => !m.IsOver).ToList();
        foreach (var gone in _seen.Keys.Except(running.Select(m => m.Id)).ToList())
        {
            _seen.Remove(gone);
        }

        // One that waits for its turn does not stand still while another goes on.
        var isBusy = running.Any(m => m.State != "preparing");
        foreach (var view in running)
        {
            var mark = (view.State, view.RowsDone, view.RowsVerified, view.UpdatedAt);
            if (!_seen.TryGetValue(view.Id, out var seen) || seen.Mark != mark || (isBusy && view.State == "preparing"))
            {
                _seen[view.Id] = new Seen(mark, time.GetTimestamp());
            }
        }

        return [.. running.Select(m => new MigrationFigures(m.Id, m.RangeId, m.State, time.GetElapsedTime(_seen[m.Id].Since).TotalSeconds))];
    }

    private sealed record Figures(ImmutableArray<SlotFigures> Slots, ImmutableArray<NodeFigures> Nodes, ImmutableArray<MigrationFigures> Migrations);

    private readonly record struct Seen((string State, long RowsDone, long RowsVerified, DateTimeOffset UpdatedAt) Mark, long Since);
}
