using ShardProxy.Catalog.Journal;

namespace ShardProxy.Control.Migration;

/// <summary>A migration in this process: waiting, running or over.</summary>
internal sealed class MigrationJob(MigrationJournalEntry journal) : IDisposable
{
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public MigrationJournalEntry Journal { get; } = journal;

    public MigrationRecord Record => Journal.Record;

    /// <summary>Set while it runs.</summary>
    public MigrationContext? Context { get; set; }

    public CancellationTokenSource Cancel { get; } = new();

    /// <summary>Completes when nothing is left to do; never faults.</summary>
    public Task Over => _over.Task;

    public void Complete() => _over.TrySetResult();

    public void Dispose() => Cancel.Dispose();
}
