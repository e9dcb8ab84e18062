using System.Globalization;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration;

/// <summary>Names of everything one attempt at a migration creates. Another attempt has others, so that what a sleeping predecessor does late meets nothing.</summary>
/// <param name="ClusterTag">Of the catalog; slots are known to a whole server.</param>
/// <param name="MigrationId">The migration.</param>
/// <param name="Attempt">From 1.</param>
internal sealed record MigrationNames(string ClusterTag, int MigrationId, int Attempt)
{
    /// <summary>Number of the migration, and of the attempt behind the first.</summary>
    public string Label { get; } = MigrationId.ToString(CultureInfo.InvariantCulture) + (Attempt > 1 ? "r" + Attempt.ToString(CultureInfo.InvariantCulture) : "");

    /// <summary>Publication, slot and subscription from the source to the target; the gate knows the apply worker by it.</summary>
    public string Stream => ClusterTag.Length == 0 ? $"shardproxy_{Label}" : $"shardproxy_{ClusterTag}_{Label}";

    /// <summary>The same from the target back to the source.</summary>
    public string ReverseStream => Stream + "_back";

    /// <summary>The gate's sequence, ready for SQL.</summary>
    public string GateSequence => $"shardproxy.gate_{Label}";

    /// <summary>Sessions that hold locks or write rows for the migration bear this name, so that a successor can end them.</summary>
    public string Session => $"shardproxy/migration/{Label}";

    /// <summary>Pattern of all gate triggers of this attempt, for LIKE.</summary>
    public string GateTriggerPattern => $@"~~shardproxy\_gate\_{Label}\_%";

    /// <summary>SQL by which a session of that name becomes one that writes ghosts: replica role keeps user triggers and foreign keys quiet, the setting names this very process and attempt to the gate.</summary>
    public string PassSql =>
        $"SET session_replication_role = replica; SELECT set_config('shardproxy.pass', pg_backend_pid() || ':{Label}', false)";

    /// <summary>A gate trigger. The tilde sorts behind every ASCII name, so it sees the row as other BEFORE triggers left it.</summary>
    public string GateTrigger(string suffix) => SqlIdentifier.Quote($"~~shardproxy_gate_{Label}_{suffix}");
}
