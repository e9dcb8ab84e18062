namespace ShardProxy.Control.Migration.Copying;

/// <summary>Settings of the sessions that write ghosts.</summary>
internal static class CopySession
{
    /// <summary>
    /// Replica role keeps user triggers and foreign keys quiet; the second setting names this very process and migration to the gate.
    /// </summary>
    public static string ReplicaRole(int migrationId) =>
        $"SET application_name = '{MigrationNames.Session(migrationId)}'; SET session_replication_role = replica; SELECT set_config('shardproxy.pass', pg_backend_pid() || ':{migrationId}', false)";
}
