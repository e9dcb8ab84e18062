using System.Diagnostics.CodeAnalysis;
using Npgsql;
using ShardProxy.Catalog;
using ShardProxy.Control.Migration.CatchingUp;
using ShardProxy.Control.Migration.Preparing;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;

namespace ShardProxy.Control.Migration.CuttingOver;

/// <summary>
/// DESIGN section 6, cutover a to e. Everything that can be opened or prepared is so before new work is held; the hold has a budget, and
/// giving up is a compare-and-set on the same record as going through, won before a gate opens or a hold ends.
/// </summary>
internal sealed class Cutover : IAsyncDisposable
{
    private readonly MigrationContext _context;
    private readonly Markers _markers;
    private readonly NpgsqlConnection _source;
    private readonly NpgsqlConnection _target;
    private string? _targetLsn;
    private long _heldSince;
    private double _patience = 1;

    private Cutover(MigrationContext context, Markers markers, NpgsqlConnection source, NpgsqlConnection target)
    {
        _context = context;
        _markers = markers;
        _source = source;
        _target = target;
    }

    private enum Outcome
    {
        Through,
        GivenUp,
    }

    public static async Task<Cutover> OpenAsync(MigrationContext context, Markers markers, CancellationToken cancellationToken)
    {
        var source = await context.Connections.OpenAsync(context.From, cancellationToken);
        try
        {
            var target = await context.Connections.OpenAsync(context.To, cancellationToken);
            await target.RunAsync("SET synchronous_commit = on", cancellationToken);
            return new Cutover(context, markers, source, target);
        }
        catch
        {
            await source.DisposeAsync();
            throw;
        }
    }

    /// <summary>Tries until it is through. Cancellation is heard between tries; a try always ends one way or the other.</summary>
    /// <exception cref="ShardProxyException">SHP-511 when every try was given up; the source still owns the range then.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < _context.Options.CutoverTries; attempt++)
        {
            await WaitForMomentAsync(cancellationToken);
            if (await TryAsync(cancellationToken) == Outcome.Through)
            {
                return;
            }

            BeMorePatient(attempt + 1, every: 8);
            await _context.BackOffAsync(attempt, TimeSpan.FromMilliseconds(15), TimeSpan.FromSeconds(1), cancellationToken);
        }

        throw new ShardProxyException(ControlErrors.CutoverTooBusy(_context.Options.CutoverTries));
    }

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        await _target.DisposeAsync();
    }

    /// <summary>
    /// A source that is overloaded already answers slower than the budget allows for: its clients wait longer in its queue than a hold
    /// would cost them, and only a cutover relieves them. So limits that were missed again and again are widened, up to a bound.
    /// </summary>
    private void BeMorePatient(int attempt, int every)
    {
        if (attempt % every == 0)
        {
            _patience = Math.Min(_patience * 1.5, _context.Options.MaximumPatience);
        }
    }

    /// <summary>Nothing announced yet: waits until the target follows closely and no old transaction is on the range.</summary>
    private async Task WaitForMomentAsync(CancellationToken cancellationToken)
    {
        for (var attempt = 0; ; attempt++)
        {
            var lag = await _markers.RoundTripAsync(cancellationToken);
            if (lag <= _context.Options.AllowedLag * _patience
                && await _context.Fleet.OldestTransactionOnRangeMsAsync(_context.RangeId, cancellationToken) <= _context.Options.OldestTransaction.TotalMilliseconds * _patience
                && !await IsLongHeldAsync(cancellationToken))
            {
                return;
            }

            BeMorePatient(attempt + 1, every: 10);
            await _context.BackOffAsync(attempt, TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(200), cancellationToken);
        }
    }

    /// <summary>Prepared transactions and direct connections are no proxy's: they show in who holds the gate's lock.</summary>
    private Task<bool> IsLongHeldAsync(CancellationToken cancellationToken) => _source.ScalarAsync<bool>(
        $"""
        SELECT EXISTS (
            SELECT FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
            WHERE l.locktype = 'advisory' AND l.classid = {NodeSchema.GateLockClass} AND l.objid = {_context.RangeId} AND l.granted
              AND (a.pid IS NULL OR a.xact_start < clock_timestamp() - interval '{(int)(_context.Options.OldestTransaction.TotalMilliseconds * _patience)} ms'))
        """,
        cancellationToken);

    private async Task<Outcome> TryAsync(CancellationToken cancellationToken)
    {
        // a. Announce.
        var announced = await _context.Catalog.TryUpdateAsync(Announce, cancellationToken)
            ?? throw new ShardProxyException(ControlErrors.Preflight("the range or its migration is gone from the catalog", "Look at SHOW RANGES."));
        var started = _context.Time.GetTimestamp();
        CatalogState? decided;
        try
        {
            decided = await HoldAsync(announced.ToRoutingTable(), started) ? await _context.Catalog.TryUpdateAsync(Commit, CancellationToken.None) : null;
        }
        catch (Exception e) when (e is NpgsqlException or OperationCanceledException or TimeoutException or IOException)
        {
            decided = null;
        }

        if (decided is null && _context.Options.Mutant == MigrationMutant.AbortWithoutCompareAndSet)
        {
            decided = announced;
        }

        // d. Whoever changed the record decided. Not us, or not known: win an abort, or see that the commit stands. Both gates stay shut until one of them
        // is read to be true, however long the catalog is away.
        decided ??= await InsistAsync(() => _context.Catalog.TryUpdateAsync(Abort, CancellationToken.None)) ?? await InsistAsync(() => _context.Catalog.LoadAsync(CancellationToken.None));
        var isThrough = decided.FindRange(_context.RangeId)?.NodeId == _context.To.Id;

        // e. Only now may a gate open, and then the hold end: in this order, as other proxies see the catalog before this one tells them anything.
        await ReleaseAsync(decided, isThrough);
        var stall = _context.Time.GetElapsedTime(started).TotalMilliseconds;
        await _context.Journal.WriteAsync(
            r => isThrough ? r with { StallMs = Math.Round(stall, 2), TargetLsn = _targetLsn } : r with { CutoverAborts = r.CutoverAborts + 1 },
            CancellationToken.None);
        return isThrough ? Outcome.Through : Outcome.GivenUp;
    }

    /// <summary>Steps a (drain) to c under the hold's budget; false: not done in time.</summary>
    private async Task<bool> HoldAsync(RoutingTable table, long started)
    {
        var options = _context.Options;
        var reports = await _context.Fleet.PublishAsync(table, DrainScope.Range(_context.RangeId), options.DrainBudget * _patience, CancellationToken.None);
        var left = (options.HoldBudget * _patience) - _context.Time.GetElapsedTime(started);
        if (left <= TimeSpan.Zero || !reports.All(r => r.IsDrained))
        {
            return false;
        }

        // b. Close the source gate. The server's own timeout ends the wait for the lock: a cancel could race with the commit.
        var seq = _context.NextMarker();
        var isMarked = _context.Options.Mutant == MigrationMutant.PositionBeforeLock;
        if (isMarked)
        {
            await _source.RunAsync($"INSERT INTO shardproxy.marker (migration_id, seq) VALUES ({_context.Id}, {seq})", CancellationToken.None);
        }

        await using (var transaction = await _source.BeginTransactionAsync(CancellationToken.None))
        {
            try
            {
                await _source.RunAsync(
                    $"""
                    SET LOCAL lock_timeout = {Math.Max(1, (int)left.TotalMilliseconds)};
                    {RangeGate.LockSql(_context.RangeId)};
                    {RangeGate.SetSql(_context.Names, NodeSchema.GateClosed)};
                    {(isMarked ? "" : $"INSERT INTO shardproxy.marker (migration_id, seq) VALUES ({_context.Id}, {seq})")}
                    """,
                    CancellationToken.None);
                await transaction.CommitAsync(CancellationToken.None);
            }
            catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected)
            {
                return false;
            }
        }

        left = (options.HoldBudget * _patience) - _context.Time.GetElapsedTime(started);
        if (left <= TimeSpan.Zero)
        {
            return false;
        }

        // c. Applied there, and then durable there.
        using (var deadline = new CancellationTokenSource(left, _context.Time))
        {
            try
            {
                await _markers.WaitAsync(seq, deadline.Token);
            }
            catch (OperationCanceledException)
            {
                return false;
            }
        }

        _targetLsn = await _target.ScalarAsync<string>(
            "INSERT INTO shardproxy.heartbeat AS h (id, beat) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET beat = h.beat + 1 RETURNING pg_catalog.pg_current_wal_insert_lsn()::text",
            CancellationToken.None);
        return _targetLsn is not null;
    }

    /// <summary>Asks the catalog until it has answered, however long it is away.</summary>
    private async Task<T> InsistAsync<T>(Func<ValueTask<T>> ask)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await ask();
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException)
            {
                await _context.BackOffAsync(attempt, TimeSpan.FromMilliseconds(20), TimeSpan.FromSeconds(2), _context.StopToken);
            }
        }
    }

    private async Task ReleaseAsync(CatalogState decided, bool isThrough)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                // A connection may have died under the try; the pool gives another then.
                await using var connection = await _context.Connections.OpenAsync(isThrough ? _context.To : _context.From, CancellationToken.None);
                await RangeGate.OpenAsync(connection, _context.Names, CancellationToken.None);
                break;
            }
            catch (NpgsqlException) when (attempt < 3)
            {
                await _context.BackOffAsync(attempt, TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(200), CancellationToken.None);
            }
            catch (NpgsqlException)
            {
                // The node is away. The decision stands: proxies must hear of it; clean-up opens the gate or removes it.
                break;
            }
        }

        var released = await InsistAsync(() => _context.Catalog.TryUpdateAsync(_context.Release, CancellationToken.None)) ?? decided;
        await _context.Fleet.PublishAsync(released.ToRoutingTable(), DrainScope.None, TimeSpan.FromSeconds(5), CancellationToken.None);
    }

    private CatalogState? Announce(CatalogState state) => state.FindMove(_context.Id) is { IsHeld: false } move && IsFrom(state)
        ? state.WithMove(_context.Id, move with { Phase = MovePhase.Holding, HeldSince = _heldSince = state.Epoch + 1 })
        : null;

    private CatalogState? Commit(CatalogState state) => IsAnnounced(state, out var move)
        ? state.WithRange(_context.RangeId, state.FindRange(_context.RangeId)! with { NodeId = _context.To.Id })
            .WithMove(_context.Id, move with { Phase = MovePhase.Releasing })
        : null;

    private CatalogState? Abort(CatalogState state) => IsAnnounced(state, out var move) ? state.WithMove(_context.Id, move with { Phase = MovePhase.Releasing }) : null;

    // This very announcement: another try, or another control plane's, is not for this one to decide.
    private bool IsAnnounced(CatalogState state, [NotNullWhen(true)] out RangeMove? move)
    {
        move = state.FindMove(_context.Id);
        return move is { Phase: MovePhase.Holding } && move.HeldSince == _heldSince && IsFrom(state);
    }

    private bool IsFrom(CatalogState state) => state.FindRange(_context.RangeId)?.NodeId == _context.From.Id;
}
