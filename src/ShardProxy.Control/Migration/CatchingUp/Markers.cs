using Npgsql;
using NpgsqlTypes;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;

namespace ShardProxy.Control.Migration.CatchingUp;

/// <summary>
/// Rows of a published table of the project that tell where the target is: when a marker is visible there, every transaction committed
/// before it on the source has been applied. A row, because a logical message alone does not move the position.
/// </summary>
internal sealed class Markers : IAsyncDisposable
{
    private static readonly TimeSpan FailureLook = TimeSpan.FromMilliseconds(500);
    private readonly MigrationContext _context;
    private readonly NpgsqlConnection _source;
    private readonly NpgsqlConnection _target;
    private readonly NpgsqlCommand _insert;
    private readonly NpgsqlCommand _look;

    private Markers(MigrationContext context, NpgsqlConnection source, NpgsqlConnection target)
    {
        _context = context;
        _source = source;
        _target = target;
        _insert = new NpgsqlCommand("INSERT INTO shardproxy.marker (migration_id, seq) VALUES ($1, $2)", source);
        _look = new NpgsqlCommand("SELECT EXISTS (SELECT FROM shardproxy.marker WHERE migration_id = $1 AND seq = $2)", target);
        foreach (var command in new[] { _insert, _look })
        {
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = context.Id });
            command.Parameters.Add(new NpgsqlParameter<int> { NpgsqlDbType = NpgsqlDbType.Integer });
        }
    }

    /// <summary>Opens its two connections and prepares its statements: the cutover has no time for that.</summary>
    public static async Task<Markers> OpenAsync(MigrationContext context, CancellationToken cancellationToken)
    {
        var source = await context.Connections.OpenAsync(context.From, cancellationToken);
        try
        {
            var markers = new Markers(context, source, await context.Connections.OpenAsync(context.To, cancellationToken));
            await markers._insert.PrepareAsync(cancellationToken);
            await markers._look.PrepareAsync(cancellationToken);
            return markers;
        }
        catch
        {
            await source.DisposeAsync();
            throw;
        }
    }

    /// <summary>Writes a marker in a transaction of its own and waits until it is visible on the target.</summary>
    /// <returns>How long that took: an upper bound of the lag.</returns>
    public async Task<TimeSpan> RoundTripAsync(CancellationToken cancellationToken)
    {
        var started = _context.Time.GetTimestamp();
        var seq = _context.NextMarker();
        ((NpgsqlParameter<int>)_insert.Parameters[1]).TypedValue = seq;
        await _insert.ExecuteNonQueryAsync(cancellationToken);
        await WaitAsync(seq, cancellationToken);
        return _context.Time.GetElapsedTime(started);
    }

    /// <summary>Polls the target until the marker is there.</summary>
    public async Task WaitAsync(int seq, CancellationToken cancellationToken)
    {
        ((NpgsqlParameter<int>)_look.Parameters[1]).TypedValue = seq;
        var looked = _context.Time.GetTimestamp();
        while (!(bool)(await _look.ExecuteScalarAsync(cancellationToken))!)
        {
            if (_context.Time.GetElapsedTime(looked) > FailureLook)
            {
                looked = _context.Time.GetTimestamp();
                await RefuseFailedAsync(cancellationToken);
            }

            await Task.Delay(_context.Options.MarkerPoll, _context.Time, cancellationToken);
        }
    }

    // A worker that meets an error ends, and begins anew with the same change, for ever.
    private async Task RefuseFailedAsync(CancellationToken cancellationToken)
    {
        if (await _target.ScalarAsync<bool>(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_subscription_stats WHERE subname = $1 AND apply_error_count > 0)", cancellationToken, _context.StreamName))
        {
            throw new ShardProxyException(ControlErrors.CannotApply(_context.To.Name));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _insert.DisposeAsync();
        await _look.DisposeAsync();
        await _target.DisposeAsync();
        await _source.DisposeAsync();
    }
}
