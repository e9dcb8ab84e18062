using ShardProxy.Admin.Backend;
using ShardProxy.Model.Metrics;

namespace ShardProxy.Admin.Metrics;

/// <summary>
/// Turns the figures of single migrations into totals that never go down, although a migration starts anew after a failure and old
/// ones leave the list: only what has been added since the last look counts.
/// </summary>
internal sealed class MigrationTotals
{
    private readonly IMigrationView _view;
    private readonly Lock _lock = new();
    private readonly DurationHistogram _stalls = new(MetricCatalog.MigrationStall);
    private Dictionary<int, MigrationSnapshot> _last = [];
    private long _rowsCopied;
    private long _rowsVerified;

    public MigrationTotals(IMigrationView view)
    {
        _view = view;

        // What the journal holds from before this process is not this process's work.
        _last = view.Migrations().ToDictionary(m => m.Id);
    }

    public (long RowsCopied, long RowsVerified, DurationHistogram Stalls) Read()
    {
        lock (_lock)
        {
            var now = _view.Migrations();
            foreach (var migration in now)
            {
                Add(migration, _last.GetValueOrDefault(migration.Id));
            }

            _last = now.ToDictionary(m => m.Id);
            return (_rowsCopied, _rowsVerified, _stalls);
        }
    }

    private void Add(MigrationSnapshot now, MigrationSnapshot? before)
    {
        _rowsCopied += Math.Max(0, now.RowsDone - (before?.RowsDone ?? 0));
        _rowsVerified += Math.Max(0, now.RowsVerified - (before?.RowsVerified ?? 0));
        if (now is { State: MigrationState.Done, StallMs: { } stallMs } && before?.State != MigrationState.Done)
        {
            _stalls.RecordMicros((long)(stallMs * 1_000));
        }
    }
}
