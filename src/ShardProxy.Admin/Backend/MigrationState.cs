namespace ShardProxy.Admin.Backend;

/// <summary>The states of <c>SHOW MIGRATIONS</c>. <see cref="Queued"/> is shown as <c>preparing</c>: it has no word of its own there.</summary>
public enum MigrationState
{
    Queued,
    Preparing,
    Copying,
    CatchingUp,
    Verifying,
    CuttingOver,
    Done,
    RolledBack,
    Failed,
    Cancelled,
}
