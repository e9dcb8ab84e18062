using System.Collections.Immutable;

namespace ShardProxy.Admin.Backend;

/// <summary>The words for <see cref="MigrationState"/> in the console, in metrics and in JSON.</summary>
public static class MigrationStates
{
    /// <summary>Every word, in the order a migration passes them.</summary>
    public static readonly ImmutableArray<string> Words =
        ["preparing", "copying", "catching_up", "verifying", "cutting_over", "done", "rolled_back", "failed", "cancelled"];

    public static string Word(MigrationState state) => state switch
    {
        MigrationState.Queued or MigrationState.Preparing => "preparing",
        MigrationState.Copying => "copying",
        MigrationState.CatchingUp => "catching_up",
        MigrationState.Verifying => "verifying",
        MigrationState.CuttingOver => "cutting_over",
        MigrationState.Done => "done",
        MigrationState.RolledBack => "rolled_back",
        MigrationState.Failed => "failed",
        MigrationState.Cancelled => "cancelled",
        _ => throw new ArgumentOutOfRangeException(nameof(state)),
    };

    /// <summary>True until the migration has ended one way or the other.</summary>
    public static bool IsRunning(MigrationState state) => state <= MigrationState.CuttingOver;
}
