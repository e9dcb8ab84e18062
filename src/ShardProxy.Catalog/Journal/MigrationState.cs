namespace ShardProxy.Catalog.Journal;

/// <summary>Where a migration stands; the names in SHOW MIGRATIONS are these in snake case. Stored by name.</summary>
public enum MigrationState
{
    /// <summary>Waits for its nodes; shown as <c>preparing</c>.</summary>
    Queued,
    Preparing,
    Copying,
    CatchingUp,
    Verifying,
    CuttingOver,

    /// <summary>The target owns the range; ghosts and helper objects are being removed. Shown as <c>cutting_over</c>.</summary>
    CleaningUp,
    Done,

    /// <summary>The range was brought back to the source.</summary>
    RolledBack,
    Failed,
    Cancelled,

    /// <summary>The target owns the range and the rollback window is open: shown as <c>done</c>.</summary>
    Reversible,
}
