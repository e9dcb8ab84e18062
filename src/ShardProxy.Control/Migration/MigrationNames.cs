using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration;

/// <summary>Names of everything a migration creates.</summary>
internal static class MigrationNames
{
    /// <summary>Publication, slot and subscription; the gate knows the apply worker by it.</summary>
    public static string Stream(int migrationId) => $"shardproxy_{migrationId}";

    /// <summary>The gate's sequence, ready for SQL.</summary>
    public static string GateSequence(int migrationId) => $"shardproxy.gate_{migrationId}";

    /// <summary>A gate trigger. The tilde sorts behind every ASCII name, so it sees the row as other BEFORE triggers left it.</summary>
    public static string GateTrigger(int migrationId, string suffix) => SqlIdentifier.Quote($"~~shardproxy_gate_{migrationId}_{suffix}");

    /// <summary>Sessions that hold locks or write rows for a migration bear this name, so that a successor can end them.</summary>
    public static string Session(int migrationId) => $"shardproxy/migration/{migrationId}";

    /// <summary>Pattern of all gate triggers of a migration, for LIKE.</summary>
    public static string GateTriggerPattern(int migrationId) => $@"~~shardproxy\_gate\_{migrationId}\_%";
}
