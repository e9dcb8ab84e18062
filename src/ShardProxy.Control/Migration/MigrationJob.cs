using ShardProxy.Catalog.Journal;

namespace ShardProxy.Control.Migration;

/// <summary>A migration in this process: waiting, running, in its rollback window, or over. Members may be called from any thread.</summary>
internal sealed class MigrationJob(MigrationJournalEntry journal) : IDisposable
{
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<string?> _rollback = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _isToClose;
    private volatile bool _isToGoBack;
    private volatile bool _isInWindow;

    public MigrationJournalEntry Journal { get; } = journal;

    public MigrationRecord Record => Journal.Record;

    /// <summary>Set while it runs.</summary>
    public MigrationContext? Context { get; set; }

    public CancellationTokenSource Cancel { get; } = new();

    /// <summary>Completes when nothing is left to do; never faults.</summary>
    public Task Over => _over.Task;

    /// <summary>Completes when the range is where it was to go, or nothing is left to do; never faults.</summary>
    public Task Arrived => _arrived.Task;

    /// <summary>The range has arrived and may go back: its nodes are free for others.</summary>
    public bool IsInWindow => _isInWindow;

    /// <summary>The window is to close.</summary>
    public bool IsToClose => _isToClose;

    /// <summary>The range is to go back.</summary>
    public bool IsToGoBack => _isToGoBack;

    /// <summary>Nobody goes back by its window any more.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>Completes with the first wish about the window.</summary>
    public Task Asked => _asked.Task;

    /// <summary>Given by the manager: takes the nodes' roles if they are free.</summary>
    public Func<bool> TakeRoles { get; set; } = () => true;

    public void Complete()
    {
        _isInWindow = false;
        IsClosed = _rollback.TrySetResult("its rollback window had closed");
        _arrived.TrySetResult();
        _over.TrySetResult();
    }

    /// <summary>The window opens.</summary>
    public void Arrive()
    {
        _isInWindow = true;
        _arrived.TrySetResult();
    }

    /// <summary>Closes the window soon, if it is or will be open.</summary>
    public void CloseWindow()
    {
        _isToClose = true;
        _asked.TrySetResult();
    }

    /// <summary>Asks for the way back; completes with null when the range is back, else with what was in the way.</summary>
    public Task<string?> GoBackAsync()
    {
        _isToGoBack = true;
        _asked.TrySetResult();
        return _rollback.Task;
    }

    /// <summary>The answer to who asked for the way back: null when the range is back.</summary>
    public void AnswerRollback(string? inTheWay) => _rollback.TrySetResult(inTheWay);

    /// <summary>Leaves the window for work on the nodes, if they are free.</summary>
    public bool TryTakeRoles()
    {
        if (!TakeRoles())
        {
            return false;
        }

        _isInWindow = false;
        return true;
    }

    public void Dispose() => Cancel.Dispose();
}
