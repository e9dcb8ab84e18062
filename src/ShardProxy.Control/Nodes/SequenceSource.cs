using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Model.Fleet;

namespace ShardProxy.Control.Nodes;

/// <summary>Draws numbers on the home node, on the control plane's own connections: outside the client's transaction, as nextval always is.</summary>
public sealed class SequenceSource(RoutingCatalog catalog, NodeConnections connections) : ISequenceSource
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    // A sequence is drawn from in its own order, one number after another. Rows of a set-returning function come in order, and so are the draws.
    // What a failed draw has drawn is lost: near its end no more is asked for than there is.
    private const string DrawSql = """
        SELECT nextval($1::regclass)
        FROM generate_series(1, (
            SELECT greatest(1, least($2, CASE WHEN s.seqcycle THEN $2
                ELSE (CASE WHEN s.seqincrement > 0 THEN s.seqmax ELSE s.seqmin END::numeric - coalesce(pg_sequence_last_value(s.seqrelid), s.seqstart - s.seqincrement)) / s.seqincrement END))
            FROM pg_sequence s WHERE s.seqrelid = $1::regclass)::int)
        """;

    private const string RightSql = "SELECT has_sequence_privilege($1, $2::regclass, 'USAGE') OR has_sequence_privilege($1, $2::regclass, 'UPDATE')";

    public async ValueTask<long[]> DrawAsync(string sequence, string? role, int count, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(Deadline, connections.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            var state = await catalog.LoadAsync(either.Token);
            await using var home = await connections.OpenAsync(state.Nodes.Single(n => n.IsHome), either.Token);
            if (role is not null && (await home.RowsAsync(RightSql, r => r.GetBoolean(0), either.Token, role, sequence)) is not [true])
            {
                throw new SequenceException("42501", $"permission denied for sequence {sequence[(sequence.LastIndexOf('.') + 1)..]}");
            }

            return [.. await home.RowsAsync(DrawSql, r => r.GetInt64(0), either.Token, sequence, count)];
        }
        catch (PostgresException e)
        {
            throw new SequenceException(e.SqlState, e.MessageText);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new TimeoutException(e.Message, e);
        }
    }
}
