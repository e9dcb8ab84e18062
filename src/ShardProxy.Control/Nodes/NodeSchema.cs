namespace ShardProxy.Control.Nodes;

/// <summary>
/// The schema <c>shardproxy</c> that every node carries: the gate's function, the markers, the cleaner's permissions, the barred proxies and the
/// records of two-phase commits. Idempotent; a version that changes something only adds.
/// </summary>
internal static class NodeSchema
{
    /// <summary>First key of the gates' advisory locks; the second is the range id.</summary>
    public const int GateLockClass = 1397247056;

    /// <summary>Value of a gate's sequence when writers may pass. Anything else, and a sequence never set, means closed.</summary>
    public const int GateOpen = 1;

    /// <summary>Value of a gate's sequence when they may not.</summary>
    public const int GateClosed = 2;

    // The lock comes first and the flag is read after it, from a sequence: neither follows the transaction's snapshot, so a writer with
    // an old one sees the gate as it is now. Only sessions in replica role may pass a closed gate: the migration's own apply worker,
    // known by the server's list of workers, and the cleaner or copier, which says so by a setting that holds its own process id.
    public const string Ddl = """
        SELECT pg_advisory_xact_lock(1397247056, 0);
        CREATE SCHEMA IF NOT EXISTS shardproxy;
        GRANT USAGE ON SCHEMA shardproxy TO PUBLIC;
        CREATE TABLE IF NOT EXISTS shardproxy.marker (
            migration_id int NOT NULL, seq int NOT NULL, PRIMARY KEY (migration_id, seq));
        CREATE TABLE IF NOT EXISTS shardproxy.heartbeat (id int PRIMARY KEY, beat bigint NOT NULL);
        CREATE TABLE IF NOT EXISTS shardproxy.cleaning (
            range_id int PRIMARY KEY, migration_id int NOT NULL, is_owner boolean NOT NULL, token bigint NOT NULL);
        CREATE TABLE IF NOT EXISTS shardproxy.expelled (
            proxy_id text PRIMARY KEY, expelled_at timestamptz NOT NULL DEFAULT clock_timestamp());
        CREATE UNLOGGED TABLE IF NOT EXISTS shardproxy.backend (
            pid int PRIMARY KEY, backend_start timestamptz NOT NULL, instance text NOT NULL);
        CREATE OR REPLACE FUNCTION shardproxy.enter(instance text) RETURNS void
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
            AS $f$
            BEGIN
                PERFORM pg_advisory_xact_lock_shared(1397247056, -1);
                IF EXISTS (SELECT FROM shardproxy.expelled e WHERE e.proxy_id = $1) THEN
                    RAISE EXCEPTION USING ERRCODE = 'P0004', CONSTRAINT = 'shardproxy_expelled', MESSAGE = 'this proxy was silent for too long and is barred from this node';
                END IF;
                INSERT INTO shardproxy.backend AS b (pid, backend_start, instance)
                SELECT a.pid, a.backend_start, $1 FROM pg_stat_get_activity(pg_backend_pid()) a
                ON CONFLICT (pid) DO UPDATE SET backend_start = excluded.backend_start, instance = excluded.instance WHERE b.backend_start <> excluded.backend_start;
            END
            $f$;
        GRANT EXECUTE ON FUNCTION shardproxy.enter(text) TO PUBLIC;
        CREATE TABLE IF NOT EXISTS shardproxy.commit_record (
            gid text PRIMARY KEY, outcome "char" NOT NULL DEFAULT 'c', recorded_at timestamptz NOT NULL DEFAULT clock_timestamp());
        CREATE OR REPLACE FUNCTION shardproxy.record_commit(gid text) RETURNS void
            LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
            AS $f$ INSERT INTO shardproxy.commit_record (gid) VALUES ($1) $f$;
        GRANT EXECUTE ON FUNCTION shardproxy.record_commit(text) TO PUBLIC;
        CREATE OR REPLACE FUNCTION shardproxy.gate() RETURNS trigger
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
            AS $f$
            DECLARE
                passes boolean := false;
            BEGIN
                IF current_setting('session_replication_role') = 'replica' THEN
                    IF current_setting('shardproxy.pass', true) = pg_backend_pid() || ':' || TG_ARGV[1] THEN
                        passes := true;
                    ELSIF EXISTS (SELECT FROM pg_stat_subscription s
                                  WHERE s.pid = pg_backend_pid() AND s.subname IN (TG_ARGV[3], TG_ARGV[4])) THEN
                        PERFORM set_config('shardproxy.pass', pg_backend_pid() || ':' || TG_ARGV[1], false);
                        passes := true;
                    END IF;
                END IF;
                IF NOT passes THEN
                    PERFORM pg_advisory_xact_lock_shared(1397247056, TG_ARGV[0]::int);
                    IF pg_sequence_last_value(TG_ARGV[2]::oid::regclass) IS DISTINCT FROM 1 THEN
                        RAISE EXCEPTION USING ERRCODE = 'P0004', CONSTRAINT = 'shardproxy_gate:' || TG_ARGV[0],
                            MESSAGE = 'range ' || TG_ARGV[0] || ' is not served by this node',
                            HINT = 'Connect through ShardProxy, or try again.';
                    END IF;
                END IF;
                IF TG_OP = 'DELETE' THEN
                    RETURN OLD;
                END IF;
                RETURN NEW;
            END
            $f$;
        CREATE OR REPLACE FUNCTION shardproxy.refuse_truncate() RETURNS trigger
            LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
            AS $f$
            BEGIN
                RAISE EXCEPTION USING ERRCODE = 'P0004', CONSTRAINT = 'shardproxy_gate',
                    MESSAGE = 'a range of this table is being moved, so it cannot be truncated',
                    HINT = 'Try again when SHOW MIGRATIONS shows the migration done.';
            END
            $f$;
        """;
}
