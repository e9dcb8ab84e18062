using System.Diagnostics;
using Npgsql;
using ShardProxy.Control.Nodes;

namespace ShardProxy.Control.Migration.Copying;

/// <summary>
/// Keeps a copy from being felt. It looks at the source a few times a second: how many clients are at work there, how long a trivial query takes, how far standbys are behind.
/// The copiers rest in proportion to how long they worked, the longer the busier the source is, and not at all on an idle one.
/// </summary>
/// <remarks>Resting in the middle of a COPY is safe: the source's backend waits in its send, with no lock but ACCESS SHARE.</remarks>
internal sealed class CopyThrottle : IAsyncDisposable
{
    // One active client keeps about one processor: from two on the copy rests as long as it may.
    private const double YieldPerClient = 2;
    private const double Smoothing = 0.25;
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LagInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan ShortestRest = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan LongestRest = TimeSpan.FromMilliseconds(250);
    private readonly MigrationContext _context;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private Task _looking = Task.CompletedTask;
    private double _active;
    private double _latencyMs;
    private volatile bool _isPaused;
    private long _budgetFrom;
    private long _budgetSpent;

    private CopyThrottle(MigrationContext context)
    {
        _context = context;
        _budgetFrom = context.Time.GetTimestamp();
    }

    /// <summary>How many times as long as it worked the copy rests at present.</summary>
    public double Yield => Math.Min(_context.Options.MaximumYield, Volatile.Read(ref _active) * YieldPerClient);

    /// <summary>Begins to look. The first look is over when this returns.</summary>
    public static async Task<CopyThrottle> StartAsync(MigrationContext context, CancellationToken cancellationToken)
    {
        var throttle = new CopyThrottle(context);
        await throttle.LookAsync(isFirst: true, cancellationToken);
        throttle._looking = throttle.KeepLookingAsync(throttle._stop.Token);
        return throttle;
    }

    /// <summary>To be called by a copier behind each piece; returns when the next may be copied.</summary>
    /// <param name="bytes">Size of the piece.</param>
    /// <param name="worked">How long the copier has worked since it last rested; set to zero when it has.</param>
    /// <param name="cancellationToken">Ends the rest.</param>
    /// <returns>What is left of <paramref name="worked"/>.</returns>
    public async ValueTask<TimeSpan> PaceAsync(int bytes, TimeSpan worked, CancellationToken cancellationToken)
    {
        while (_isPaused)
        {
            await Task.Delay(Pause, _context.Time, cancellationToken);
        }

        var rest = worked * Yield;
        var owed = Owed(bytes);
        var longest = rest > owed ? rest : owed;
        if (longest < ShortestRest)
        {
            return worked;
        }

        await Task.Delay(longest < LongestRest || owed >= longest ? longest : LongestRest, _context.Time, cancellationToken);
        return TimeSpan.Zero;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _looking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    // By the rate asked for, the time that what was copied should have taken beyond what it took.
    private TimeSpan Owed(int bytes)
    {
        if (_context.Options.MaximumCopyRate <= 0)
        {
            return TimeSpan.Zero;
        }

        lock (_lock)
        {
            _budgetSpent += bytes;
            var due = TimeSpan.FromSeconds((double)_budgetSpent / _context.Options.MaximumCopyRate);
            var elapsed = _context.Time.GetElapsedTime(_budgetFrom);
            if (elapsed > due + TimeSpan.FromSeconds(1))
            {
                // What was not used is not saved up.
                (_budgetFrom, _budgetSpent) = (_context.Time.GetTimestamp(), 0);
            }

            return due > elapsed ? due - elapsed : TimeSpan.Zero;
        }
    }

    private async Task KeepLookingAsync(CancellationToken cancellationToken)
    {
        var lagLooked = _context.Time.GetTimestamp();
        var isBehind = false;
        while (!cancellationToken.IsCancellationRequested)
        {
            await Task.Delay(LookInterval, _context.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            try
            {
                await LookAsync(isFirst: false, cancellationToken);
                if (_context.Options.MaximumReplicaLag > TimeSpan.Zero && _context.Time.GetElapsedTime(lagLooked) > LagInterval)
                {
                    lagLooked = _context.Time.GetTimestamp();
                    isBehind = await IsBehindAsync(_context.Source, cancellationToken) || await IsBehindAsync(_context.Target, cancellationToken);
                }

                var limit = _context.Options.MaximumSourceLatency;
                _isPaused = isBehind || (limit > TimeSpan.Zero && _latencyMs > limit.TotalMilliseconds);
            }
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
            {
                // A node is away: the copy itself will say so.
                _isPaused = false;
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async Task LookAsync(bool isFirst, CancellationToken cancellationToken)
    {
        // The control plane's own sessions, the copying ones among them, do not count.
        const string ActiveClients = """
            SELECT count(*) FROM pg_catalog.pg_stat_activity
            WHERE backend_type = 'client backend' AND state = 'active' AND pid <> pg_catalog.pg_backend_pid() AND wait_event_type IS DISTINCT FROM 'Client'
              AND application_name NOT LIKE 'shardproxy/migration/%' AND application_name NOT LIKE 'shardproxy/%/control'
            """;
        await using var connection = await _context.Connections.OpenAsync(_context.Source, cancellationToken);
        var started = Stopwatch.GetTimestamp();
        var active = await connection.ScalarAsync<long>(ActiveClients, cancellationToken);
        var took = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        Volatile.Write(ref _active, isFirst ? active : _active + (Smoothing * (active - _active)));
        _latencyMs = isFirst ? took : _latencyMs + (Smoothing * (took - _latencyMs));
    }

    private async Task<bool> IsBehindAsync(Model.Topology.Node node, CancellationToken cancellationToken)
    {
        // Logical receivers, ours among them, are no standbys.
        const string Behind = """
            SELECT EXISTS (
                SELECT FROM pg_catalog.pg_stat_replication r
                WHERE extract(epoch FROM r.replay_lag) * 1000 > $1
                  AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical'))
            """;
        await using var connection = await _context.Connections.OpenAsync(node, cancellationToken);
        return await connection.ScalarAsync<bool>(Behind, cancellationToken, (long)_context.Options.MaximumReplicaLag.TotalMilliseconds);
    }
}
