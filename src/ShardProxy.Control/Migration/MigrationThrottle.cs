using System.Diagnostics;
using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration;

/// <summary>
/// Keeps a copy and a verification from being felt. It looks at source and target many times a second: how many clients are at work there, how long a trivial query takes,
/// how far standbys are behind. Who copies or reads rests in proportion to how long it worked, the longer the busier the busier of the two is, and not at all on idle ones.
/// </summary>
/// <remarks>Resting in the middle of a COPY is safe: the source's backend waits in its send, with no lock but ACCESS SHARE.</remarks>
internal sealed class MigrationThrottle : IAsyncDisposable
{
    // On average at work: from so many on the work rests as long as it may.
    private const double ManyClients = 1;
    private const double Smoothing = 0.25;
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LagInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan ShortestRest = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan LongPiece = TimeSpan.FromMilliseconds(500);
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

    private MigrationThrottle(MigrationContext context)
    {
        _context = context;
        _budgetFrom = context.Time.GetTimestamp();
    }

    /// <summary>How many times as long as it worked the work rests at present.</summary>
    public double Yield => _context.Options.MaximumYield * Math.Min(1, Volatile.Read(ref _active) / ManyClients);

    /// <summary>Begins to look. The first look is over when this returns.</summary>
    public static async Task<MigrationThrottle> StartAsync(MigrationContext context, CancellationToken cancellationToken)
    {
        var throttle = new MigrationThrottle(context);
        await throttle.LookAsync(isFirst: true, cancellationToken);
        throttle._looking = throttle.KeepLookingAsync(throttle._stop.Token);
        return throttle;
    }

    /// <summary>For one that works: its work counts from here on.</summary>
    public Pace NewPace() => new(this);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _looking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async ValueTask WaitOutPauseAsync(CancellationToken cancellationToken)
    {
        while (_isPaused)
        {
            await Task.Delay(Pause, _context.Time, cancellationToken);
        }
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
        var looks = await Task.WhenAll(LookAtAsync(_context.Source), LookAtAsync(_context.Target));
        var (active, took) = (looks.Max(l => l.Active), looks.Max(l => l.TookMs));
        Volatile.Write(ref _active, isFirst ? active : _active + (Smoothing * (active - _active)));
        _latencyMs = isFirst ? took : _latencyMs + (Smoothing * (took - _latencyMs));

        async Task<(long Active, double TookMs)> LookAtAsync(Node node)
        {
            await using var connection = await _context.Connections.OpenAsync(node, cancellationToken);
            var started = Stopwatch.GetTimestamp();
            var clients = await connection.ScalarAsync<long>(ActiveClients, cancellationToken);
            return (clients, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }
    }

    private async Task<bool> IsBehindAsync(Node node, CancellationToken cancellationToken)
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

    /// <summary>How one copier or reader keeps to the throttle. Not for several threads.</summary>
    internal sealed class Pace(MigrationThrottle throttle)
    {
        private TimeSpan _worked;
        private long _since = Stopwatch.GetTimestamp();

        /// <summary>
        /// To be called behind each piece of work; returns when the next may begin. Only a whole piece's time is work's: in the middle of a COPY the servers work on while this
        /// side rests, into their buffers. So a rest there is for long ones.
        /// </summary>
        /// <param name="copied">How many bytes it copied.</param>
        /// <param name="isWhole">Nothing of it is left to do on any server.</param>
        /// <param name="cancellationToken">Ends the rest.</param>
        public async ValueTask KeepAsync(int copied, bool isWhole, CancellationToken cancellationToken)
        {
            _worked += Stopwatch.GetElapsedTime(_since);
            await throttle.WaitOutPauseAsync(cancellationToken);
            var owed = throttle.Owed(copied);
            var rests = isWhole || _worked > LongPiece;

            // In slices: once the clients have gone the rest is over.
            for (var rested = TimeSpan.Zero; ;)
            {
                var rest = rests ? _worked * throttle.Yield : TimeSpan.Zero;
                var left = (rest > owed ? rest : owed) - rested;
                if (left < ShortestRest)
                {
                    _worked = rests && rested > TimeSpan.Zero ? TimeSpan.Zero : _worked;
                    break;
                }

                var slice = left < LongestRest ? left : LongestRest;
                await Task.Delay(slice, throttle._context.Time, cancellationToken);
                rested += slice;
            }

            _since = Stopwatch.GetTimestamp();
        }
    }
}
