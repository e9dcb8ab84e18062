using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Fleet;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Fleet;

/// <summary>
/// Bars proxies that were silent for too long from the nodes (DESIGN section 6): a sleeping proxy wakes to dead sockets, not to wrong rows. Who is at work for a
/// proxy is known from a table that every server connection enters itself into when it is opened: a client may change any other mark of it.
/// </summary>
internal sealed class Expulsion(ProxyDirectory directory, FleetRoster roster, RoutingCatalog catalog, NodeConnections connections, TimeSpan patience)
{
    private const int LockKey = -1;
    private static readonly TimeSpan EndDeadline = TimeSpan.FromSeconds(10);

    /// <summary>One look at everybody. Idempotent; several control planes may do it at once.</summary>
    /// <returns>How many were barred.</returns>
    public async Task<int> RoundAsync(CancellationToken cancellationToken)
    {
        var barred = 0;
        foreach (var proxy in roster.Others.Where(p => !p.IsBarred))
        {
            var (record, version) = (proxy, roster.VersionOf(proxy.Id));
            if (!record.IsExpelled)
            {
                if (roster.SilenceOf(record.Id) < patience)
                {
                    continue;
                }

                // Over the version that was seen: one that has spoken meanwhile is not expelled.
                record = record with { IsExpelled = true };
                if (await directory.TryWriteAsync(record, version, cancellationToken) is not { } expelled)
                {
                    continue;
                }

                version = expelled;
            }

            await BarAsync(record.Instance, cancellationToken);
            if (record.Predecessor is { } predecessor)
            {
                await BarAsync(predecessor, cancellationToken);
            }

            if (await directory.TryWriteAsync(record with { IsBarred = true }, version, cancellationToken) is not null)
            {
                barred++;
            }
        }

        if (barred > 0)
        {
            await roster.RefreshAsync(cancellationToken);
        }

        return barred;
    }

    /// <summary>Bars an instance on every node; returns when none of its connections is left on any.</summary>
    /// <exception cref="NpgsqlException">A node cannot be reached: it is not done.</exception>
    public async Task BarAsync(string instance, CancellationToken cancellationToken)
    {
        var nodes = (await catalog.LoadAsync(cancellationToken)).Nodes;
        await Task.WhenAll(nodes.Select(n => BarAsync(n, instance, cancellationToken)));
    }

    private async Task BarAsync(Node node, string instance, CancellationToken cancellationToken)
    {
        const string End = """
            SELECT count(pg_catalog.pg_terminate_backend(b.pid)) FROM shardproxy.backend b JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid AND a.backend_start = b.backend_start
            WHERE b.instance = $1
            """;
        await using var connection = await connections.OpenAsync(node, cancellationToken);
        if (!await connection.ScalarAsync<bool>("SELECT to_regclass('shardproxy.backend') IS NOT NULL", cancellationToken))
        {
            // Nobody can have entered a node that was never prepared.
            return;
        }

        await connection.ScalarAsync<int>("INSERT INTO shardproxy.expelled (proxy_id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1", cancellationToken, instance);

        // Whoever looked at the bar before it was there holds this lock until its entry can be seen.
        await connection.RunAsync($"BEGIN; SELECT pg_catalog.pg_advisory_xact_lock({NodeSchema.GateLockClass}, {LockKey}); COMMIT", cancellationToken);
        var started = connections.Time.GetTimestamp();
        while (await connection.ScalarAsync<long>(End, cancellationToken, instance) > 0)
        {
            if (connections.Time.GetElapsedTime(started) > EndDeadline)
            {
                throw new TimeoutException($"server connections of a barred proxy on node {node.Name} do not end");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(5), connections.Time, cancellationToken);
        }

        await connection.ScalarAsync<object>("DELETE FROM shardproxy.backend WHERE instance = $1", cancellationToken, instance);
        await connection.ScalarAsync<object>("DELETE FROM shardproxy.expelled WHERE expelled_at < clock_timestamp() - interval '90 days'", cancellationToken);
    }
}
