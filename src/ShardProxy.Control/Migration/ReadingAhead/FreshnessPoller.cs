using System.Globalization;
using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;

namespace ShardProxy.Control.Migration.ReadingAhead;

/// <summary>
/// Finds out as of when the copy of a moving range holds everything, for the clients of this process that ask (<see cref="ReadAheadBoard"/>): notes the moment, writes a
/// marker on the source, sees it on the target. Everything committed on the source before that moment was committed before the marker, and the apply worker applies
/// in the order of commits. Runs only while somebody asks; its markers are below zero, where no migration's are.
/// </summary>
internal sealed class FreshnessPoller(ReadAheadBoard board, Func<RoutingTable> current, NodeConnections connections)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan AfterFailure = TimeSpan.FromMilliseconds(200);

    /// <summary>Runs until cancelled; never throws.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var running = new List<Task>();
        try
        {
            while (true)
            {
                var place = await board.NextAsync(cancellationToken);
                running.RemoveAll(t => t.IsCompleted);
                running.Add(Task.Run(() => FollowAsync(place, cancellationToken), CancellationToken.None));
            }
        }
        catch (OperationCanceledException)
        {
            // Stopped.
        }

        await Task.WhenAll(running);
    }

    private async Task FollowAsync(ReadAheadPlace place, CancellationToken cancellationToken)
    {
        // Other proxies' markers have other numbers.
        var seq = -Random.Shared.Next(1, int.MaxValue / 2);
        try
        {
            while (IsOpen(place) && board.IsWanted(place))
            {
                try
                {
                    seq = await FollowAsync(place, seq, cancellationToken);
                }
                catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException)
                {
                    // One of both is away: the owner answers until it is seen again.
                    place.AsOf = 0;
                    await Task.Delay(AfterFailure, connections.Time, cancellationToken);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The process stops.
        }
        finally
        {
            board.Forget(place);
            await RemoveAsync(place, seq);
        }
    }

    private async Task<int> FollowAsync(ReadAheadPlace place, int seq, CancellationToken cancellationToken)
    {
        // A marker is written only while the stream is there, whose end takes all markers away; the last one of this process goes with the next.
        const string Write = """
            WITH before AS (DELETE FROM shardproxy.marker WHERE migration_id = $1 AND seq = $2)
            INSERT INTO shardproxy.marker (migration_id, seq) SELECT $1, $3 WHERE EXISTS (SELECT FROM pg_publication WHERE pubname ~ $4) RETURNING seq
            """;
        const string Seen = "SELECT EXISTS (SELECT FROM shardproxy.marker WHERE migration_id = $1 AND seq = $2)";
        var table = current();
        var stream = string.Create(CultureInfo.InvariantCulture, $"^shardproxy_(.*_)?{place.MigrationId}(r[0-9]+)?$");
        await using var source = await connections.OpenAsync(table.Node(place.SourceNodeId), cancellationToken);
        await using var target = await connections.OpenAsync(table.Node(place.TargetNodeId), cancellationToken);
        while (IsOpen(place) && board.IsWanted(place))
        {
            var asOf = connections.Time.GetTimestamp();
            if (await source.ScalarAsync<int>(Write, cancellationToken, place.MigrationId, seq, seq - 1, stream) == 0)
            {
                break;
            }

            seq--;
            while (!await target.ScalarAsync<bool>(Seen, cancellationToken, place.MigrationId, seq))
            {
                if (!IsOpen(place) || !board.IsWanted(place))
                {
                    return seq;
                }

                await Task.Delay(Look, connections.Time, cancellationToken);
            }

            place.AsOf = asOf;
            await Task.Delay(Pause, connections.Time, cancellationToken);
        }

        return seq;
    }

    private bool IsOpen(ReadAheadPlace place)
    {
        var table = current();
        return table.MoveOf(place.RangeId) is { AllowsReadAhead: true } move && move.MigrationId == place.MigrationId && table.FindRange(place.RangeId)?.NodeId == place.SourceNodeId;
    }

    private async Task RemoveAsync(ReadAheadPlace place, int seq)
    {
        using var moment = new CancellationTokenSource(TimeSpan.FromSeconds(2), connections.Time);
        foreach (var nodeId in new[] { place.SourceNodeId, place.TargetNodeId })
        {
            try
            {
                await using var connection = await connections.OpenAsync(current().Node(nodeId), moment.Token);
                await connection.ScalarAsync<int>("DELETE FROM shardproxy.marker WHERE migration_id = $1 AND seq IN ($2, $2 - 1)", moment.Token, place.MigrationId, seq);
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException or OperationCanceledException or KeyNotFoundException or ObjectDisposedException)
            {
                // The migration's own clean-up removes it.
            }
        }
    }
}
