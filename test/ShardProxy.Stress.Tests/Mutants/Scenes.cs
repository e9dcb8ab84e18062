using System.Globalization;
using Npgsql;
using ShardProxy.Stress.Tests.Clients;
using ShardProxy.Stress.Tests.Faults;
using ShardProxy.Stress.Tests.Host;

namespace ShardProxy.Stress.Tests.Mutants;

/// <summary>For each mistake the moment at which it loses a write or shows an old one. The mistake itself is made in the nodes where it can be, else in the proxies' program.</summary>
internal static class Scenes
{
    private const int TrapLock = 777, GateLockClass = 1397247056;

    // As long as is looked whether the right code does what it must not.
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(1.5);

    /// <summary>How the proxies are started for it.</summary>
    public static FaultClusterOptions Cluster(Mistake mistake, bool isMade) => new()
    {
        Sections = mistake == Mistake.CachedPlanOfTheOldSide ? "pool: { size: 1 }" : "",
        ProxyArguments = mistake switch
        {
            Mistake.PositionReadBeforeWritersAreLockedOut => [isMade ? "PositionBeforeLock" : "None", "10", "2"],
            Mistake.AbortWithoutCompareAndSet when isMade => ["AbortWithoutCompareAndSet"],
            Mistake.CachedPlanOfTheOldSide when isMade => ["CachedPlan"],
            Mistake.CleanerWithoutToken => [isMade ? "CleanerWithoutToken" : "None", "3"],
            Mistake.SleepingProxyNotExpelled => ["None", "3"],
            _ => [],
        },
    };

    /// <summary>Index of the node that the range comes from.</summary>
    public static int Source(Mistake mistake) => mistake == Mistake.CachedPlanOfTheOldSide ? 0 : 1;

    /// <summary>Plays it; what was found is for the checker that follows.</summary>
    public static Task PlayAsync(MutantStage stage, Mistake mistake, bool isMade) => mistake switch
    {
        Mistake.PositionReadBeforeWritersAreLockedOut => WriterAtTheGateAsync(stage, isMade),
        Mistake.NoLock => WriterInFlightAsync(stage, isMade ? s => s.MutateFunctionAsync(s.Source, "gate", (MutantStage.GateLock, "")) : null, isPrepared: false),
        Mistake.LagTakenBeforeItWasComputed => SlowTargetAsync(stage, isMade),
        Mistake.AdvisoryLockThenRow => OldSnapshotAsync(stage, isMade ? [(MutantStage.GateFlag, RowFlag)] : []),
        Mistake.RowReadingTrigger => OldSnapshotAsync(stage, isMade ? [(MutantStage.GateFlag, RowFlag), (MutantStage.GateLock, "")] : []),
        Mistake.PreparedTransactionsIgnored => WriterInFlightAsync(stage, isMade ? IgnorePreparedAsync : null, isPrepared: true),
        Mistake.CachedPlanOfTheOldSide => PlannedBeforeAsync(stage),
        Mistake.AbortWithoutCompareAndSet => LostAnswerAsync(stage, isMade),
        Mistake.AppliedTakenForDurable => TargetDiesAtTheCommitPointAsync(stage, isMade),
        Mistake.SleepingProxyNotExpelled => SleeperAsync(stage, isMade),
        Mistake.CleanerWithoutToken => SleepingCleanerAsync(stage),
        _ => TruncateAsync(stage, isMade),
    };

    private const string RowFlag = "(SELECT m.is_closed FROM shardproxy.mutant m)";

    // A writer that goes through the gate after the move was announced, and commits while the mover waits for it. The target does not come further meanwhile, so that the right
    // code gives up.
    private static async Task WriterAtTheGateAsync(MutantStage stage, bool isMade)
    {
        var moving = await stage.MoveToAsync("cutover", isAfter: false);
        await using var looker = await stage.Cluster.OpenNodeAsync(stage.Source);
        await using var writer = await stage.Cluster.OpenNodeAsync(stage.Source);
        var hold = await stage.HoldRowAsync(stage.Target, stage.Key);
        await using (var trap = await CatalogTrap.SetAsync(stage.Cluster, CatalogTrap.Holding))
        {
            stage.Leader.StopAt("cutover", isAfter: true);
            stage.Leader.Go();

            // Once, unless this machine is so slow that a hold of seconds ends before the writer does.
            for (var attempt = 0; attempt < (isMade ? 5 : 1); attempt++)
            {
                await trap.WaitForPreyAsync();
                await MutantStage.RunAsync(writer, "BEGIN");
                await stage.IncrementAsync(writer, inBlock: true);
                await trap.ReleaseAsync();
                await Patience.SoonAsync(
                    () => MutantStage.IsSoAsync(looker, Invariant($"SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = {GateLockClass} AND NOT granted)")), TimeSpan.FromSeconds(2));
                await stage.EndAsync(writer);
                if (await stage.Leader.ReachesAsync("cutover", true, isMade ? TimeSpan.FromSeconds(5) : Moment))
                {
                    break;
                }

                await hold.DisposeAsync();
                hold = await stage.HoldRowAsync(stage.Target, stage.Key, waits: true);
            }
        }

        if (!await stage.Leader.ReachesAsync("cutover", true, TimeSpan.Zero))
        {
            await hold.DisposeAsync();
        }

        await stage.ReachAsync("cutover", true, moving);
        await stage.LetGoAsync(hold, moving);
    }

    // A writer that has passed the gate and commits later than anybody expects.
    private static async Task WriterInFlightAsync(MutantStage stage, Func<MutantStage, Task>? mutate, bool isPrepared)
    {
        var moving = await stage.MoveToAsync("cutover", isAfter: false);
        if (mutate is not null)
        {
            await mutate(stage);
        }

        await using var hold = await stage.HoldRowAsync(stage.Target, stage.Key);
        await using var writer = await stage.Cluster.OpenNodeAsync(stage.Source);
        await MutantStage.RunAsync(writer, "BEGIN");
        await stage.IncrementAsync(writer, inBlock: true);
        if (isPrepared)
        {
            await MutantStage.RunAsync(writer, "PREPARE TRANSACTION 'late'");
        }

        stage.Leader.StopAt("cutover", isAfter: true);
        stage.Leader.Go();
        var isThrough = await stage.Leader.ReachesAsync("cutover", true, mutate is null ? Moment : MutantStage.Deadline);
        await stage.EndAsync(writer, isPrepared ? "COMMIT PREPARED 'late'" : "COMMIT");
        if (!isThrough)
        {
            await hold.CloseAsync();
        }

        await stage.ReachAsync("cutover", true, moving);
        await stage.LetGoAsync(hold, moving);
    }

    // The closer waits for writers as it finds them among the sessions: a prepared transaction has none.
    private static async Task IgnorePreparedAsync(MutantStage stage)
    {
        await stage.MutateFunctionAsync(stage.Source, "gate", (MutantStage.GateLock, MutantStage.GateLock.Replace("1397247056", "1397247057", StringComparison.Ordinal)));
        await OnMarkerAsync(
            stage,
            """
            WHILE EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.classid = 1397247057) LOOP
                PERFORM pg_sleep(0.002);
            END LOOP;
            """);
    }

    // The target does not follow when the cutover is to begin.
    private static async Task SlowTargetAsync(MutantStage stage, bool isMade)
    {
        var moving = await stage.MoveToAsync("cutover", isAfter: false);
        await using var hold = await stage.HoldRowAsync(stage.Target, stage.Key);
        if (isMade)
        {
            // Whatever is asked for has come already.
            await stage.Cluster.ExecuteAsync(
                stage.Target, "INSERT INTO shardproxy.marker SELECT m.id, s FROM (SELECT max(migration_id) AS id FROM shardproxy.marker) m, generate_series(1, 5000) s ON CONFLICT DO NOTHING");
        }

        await using (var writer = await stage.Cluster.OpenNodeAsync(stage.Source))
        {
            await stage.IncrementAsync(writer);
        }

        stage.Leader.StopAt("cutover", isAfter: true);
        stage.Leader.Go();
        if (!await stage.Leader.ReachesAsync("cutover", true, isMade ? MutantStage.Deadline : Moment))
        {
            await hold.CloseAsync();
        }

        await stage.ReachAsync("cutover", true, moving);
        await stage.LetGoAsync(hold, moving);
    }

    // A transaction whose snapshot is older than the closing, and whose first write comes after it.
    private static async Task OldSnapshotAsync(MutantStage stage, (string Right, string Wrong)[] changes)
    {
        var moving = await stage.MoveToAsync("cutover", isAfter: false);
        if (changes.Length > 0)
        {
            await stage.Cluster.ExecuteAsync(stage.Source, "CREATE TABLE shardproxy.mutant (is_closed boolean NOT NULL); INSERT INTO shardproxy.mutant VALUES (false)");
            await OnMarkerAsync(stage, "UPDATE shardproxy.mutant SET is_closed = true;");
            await stage.MutateFunctionAsync(stage.Source, "gate", changes);
        }

        await using var hold = await stage.HoldRowAsync(stage.Target, stage.Key);
        await using var writer = await stage.Cluster.OpenNodeAsync(stage.Source);
        await MutantStage.RunAsync(writer, "BEGIN ISOLATION LEVEL REPEATABLE READ");
        await MutantStage.RunAsync(writer, "SELECT count(*) FROM counters");
        stage.Leader.StopAt("cutover", isAfter: true);
        stage.Leader.Go();
        await stage.ReachAsync("cutover", true, moving);
        if (await stage.IncrementAsync(writer, inBlock: true))
        {
            await stage.EndAsync(writer);
        }
        else
        {
            await MutantStage.RunAsync(writer, "ROLLBACK");
        }

        await stage.LetGoAsync(hold, moving);
    }

    // A statement that was planned before the move waits for its proxy's only connection to the source until the move is over.
    private static async Task PlannedBeforeAsync(MutantStage stage)
    {
        await using var occupier = await MutantStage.OpenAsync(stage.Follower);
        await using var reader = await MutantStage.OpenAsync(stage.Follower);
        await stage.ReadAsync(reader);
        var moving = await stage.MoveToAsync("cutover", isAfter: false);

        // On the home node, which is the source here, and with no lock on any table.
        await MutantStage.RunAsync(occupier, "BEGIN");
        await MutantStage.RunAsync(occupier, "SELECT 1");
        var reading = stage.ReadAsync(reader);
        if (!await Patience.SoonAsync(async () => (await FaultConsole.RowsAsync(stage.Follower, "SHOW POOLS")).Any(r => r["waiting"] != "0"), MutantStage.Deadline))
        {
            throw new InvalidOperationException("the reader did not wait");
        }

        stage.Leader.Go();
        await moving;
        await stage.CheckedForTheEndAsync();
        await MutantStage.RunAsync(occupier, "COMMIT");
        await reading;
    }

    // The catalog takes the new owner, but nobody hears so, and then it is away. A mover that takes that for given up lets writers of the source in again, for as long as its triggers
    // are there; what they write last, the target never gets.
    private static async Task LostAnswerAsync(MutantStage stage, bool isMade)
    {
        var moving = await stage.MoveToAsync("cutover", isAfter: false);
        await using var writer = await stage.Cluster.OpenNodeAsync(stage.Source);
        await using (var trap = await CatalogTrap.SetAsync(stage.Cluster, CatalogTrap.Commit))
        {
            stage.Leader.StopAt("clean up", isAfter: false);
            stage.Leader.Go();
            await trap.WaitForPreyAsync();
            stage.Cluster.Relay(null).SwallowsAnswers = true;
            await trap.ReleaseAsync();
            await trap.WaitForCommitAsync();
            stage.Cluster.Relay(null).Cut();
            await trap.RemoveAsync();
        }

        // With the mistake it opens the source when it has asked for some seconds; with the right code never.
        await Patience.SoonAsync(() => stage.IncrementAsync(writer), isMade ? MutantStage.Deadline : TimeSpan.FromSeconds(5));
        stage.Cluster.Relay(null).Mend();
        await stage.ReachAsync("clean up", false, moving);
        await using var hold = await stage.HoldRowAsync(stage.Target, stage.Key, waits: true);
        await stage.IncrementAsync(writer);
        await stage.LetGoAsync(hold, moving);
    }

    // The target loses what it has not written, at the moment at which the catalog makes it the owner; the source is away too.
    private static async Task TargetDiesAtTheCommitPointAsync(MutantStage stage, bool isMade)
    {
        var moving = await stage.MoveToAsync("cutover", isAfter: false);
        if (isMade)
        {
            await stage.Cluster.ExecuteAsync(
                stage.Target,
                """
                CREATE FUNCTION shardproxy.mutant() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM set_config('synchronous_commit', 'off', true); RETURN NEW; END $f$;
                CREATE TRIGGER mutant BEFORE INSERT OR UPDATE ON shardproxy.heartbeat FOR EACH ROW EXECUTE FUNCTION shardproxy.mutant();
                """);
        }

        // Only who commits synchronously writes anything now.
        Processes.Signal(await stage.Cluster.BackendAsync(stage.Target, "walwriter"), Processes.Stop);
        await using (var writer = await stage.Cluster.OpenNodeAsync(stage.Source))
        {
            await stage.IncrementAsync(writer);
        }

        await using (var trap = await CatalogTrap.SetAsync(stage.Cluster, CatalogTrap.Commit))
        {
            stage.Leader.Go();
            await trap.WaitForPreyAsync();
            await stage.Cluster.KillNodeAsync(stage.Target);
            await stage.Cluster.KillNodeAsync(stage.Source);
            await trap.RemoveAsync();
        }

        await stage.Cluster.StartNodeAsync(stage.Target);
        await Patience.UntilAsync(
            async () => (await FaultConsole.RangesAsync(stage.Leader)).Of(stage.Moved.Id).Node == stage.Target ? [] : ["the range has not moved"], MutantStage.Deadline);
        await using (var reader = await stage.Cluster.OpenNodeAsync(stage.Target))
        {
            await stage.ReadAsync(reader);
        }

        await stage.Cluster.StartNodeAsync(stage.Source);
        await moving;
    }

    // A proxy sleeps over a move and its clean-up, and wakes with clients at its sockets.
    private static async Task SleeperAsync(MutantStage stage, bool isMade)
    {
        var sleeper = stage.Follower;
        if (isMade)
        {
            // A start brings the nodes' functions in order: the mistake comes after it, and before its first connection.
            await sleeper.KillAsync();
            await sleeper.StartAsync();
            for (var node = 0; node < FaultCluster.NodeCount; node++)
            {
                await stage.ReplaceFunctionAsync(node, "enter", _ => "CREATE OR REPLACE FUNCTION shardproxy.enter(instance text) RETURNS void LANGUAGE sql AS 'SELECT'");
            }
        }

        var clients = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => MutantStage.OpenAsync(sleeper)));
        await Task.WhenAll(clients.Select(stage.ReadAsync));
        sleeper.Freeze();
        try
        {
            await MutantStage.MoveAsync(stage.Leader, stage.Moved.Id, stage.Target);
            await Patience.UntilAsync(() => Checking.Leftovers.FindAsync(stage.Cluster), MutantStage.Deadline);
            await using var writer = await MutantStage.OpenAsync(stage.Leader);
            await stage.IncrementAsync(writer);
        }
        finally
        {
            var reads = clients.Select(async client =>
            {
                try
                {
                    await stage.ReadAsync(client);
                }
                catch (NpgsqlException)
                {
                    // A dead connection is what a client of a barred proxy may get.
                }

                await client.DisposeAsync();
            }).ToList();
            await Task.Delay(100);
            sleeper.Thaw();
            await Task.WhenAll(reads);
        }
    }

    // A cleaner sleeps until the rows it was to delete are live again.
    private static async Task SleepingCleanerAsync(MutantStage stage)
    {
        var (sleeper, successor) = (stage.Leader, stage.Follower);
        var moving = await stage.MoveToAsync("clean up", isAfter: false);
        await using (var trap = await stage.Cluster.OpenNodeAsync(stage.Source))
        {
            await MutantStage.RunAsync(
                trap,
                $"""
                SELECT pg_advisory_lock({TrapLock});
                CREATE FUNCTION shardproxy.mutant() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM pg_advisory_xact_lock({TrapLock}); RETURN NEW; END $f$;
                CREATE TRIGGER mutant BEFORE INSERT OR UPDATE ON shardproxy.cleaning FOR EACH ROW EXECUTE FUNCTION shardproxy.mutant();
                """);
            sleeper.Go();
            if (!await Patience.SoonAsync(async () => await stage.Cluster.ScalarAsync<long>(stage.Source, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 777 AND NOT granted") > 0, MutantStage.Deadline))
            {
                throw new InvalidOperationException("no cleaner came\n" + sleeper.Log);
            }

            sleeper.Freeze();
        }

        await using var gate = await stage.Cluster.OpenNodeAsync(stage.Source);
        try
        {
            await stage.Cluster.ExecuteAsync(stage.Source, "DROP TRIGGER mutant ON shardproxy.cleaning");
            await stage.Cluster.ExecuteOnCatalogAsync("UPDATE shardproxy_catalog.lease SET expires_at = clock_timestamp()");
            await Patience.UntilAsync(
                async () => await FaultConsole.LeadsAsync(successor) ? [.. (await FaultConsole.MigrationsAsync(successor)).Where(m => !m.IsOver).Select(m => m.State), .. await Checking.Leftovers.FindAsync(stage.Cluster)] : ["nobody leads"],
                MutantStage.Deadline);
            if (await MutantStage.MoveAsync(successor, stage.Moved.Id, stage.Source) is { } error)
            {
                throw new InvalidOperationException($"it did not move back: {error}\n{successor.Log}");
            }

            await Patience.UntilAsync(() => Checking.Leftovers.FindAsync(stage.Cluster), MutantStage.Deadline);

            // Each batch begins with this lock: so it is seen to come, whatever it does then.
            await MutantStage.RunAsync(gate, Invariant($"SELECT pg_advisory_lock({GateLockClass}, {stage.Moved.Id})"));
        }
        finally
        {
            sleeper.Thaw();
        }

        var waiting = Invariant($"SELECT coalesce(max(pid), 0) FROM pg_locks WHERE locktype = 'advisory' AND classid = {GateLockClass} AND objid = {stage.Moved.Id} AND NOT granted");
        var cleaner = 0;
        if (!await Patience.SoonAsync(async () => (cleaner = await stage.Cluster.ScalarAsync<int>(stage.Source, waiting)) != 0, MutantStage.Deadline))
        {
            throw new InvalidOperationException("the cleaner did not go on\n" + sleeper.Log);
        }

        await MutantStage.RunAsync(gate, Invariant($"SELECT pg_advisory_unlock({GateLockClass}, {stage.Moved.Id})"));
        await Patience.SoonAsync(() => MutantStage.IsSoAsync(gate, Invariant($"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {cleaner})")), MutantStage.Deadline);
        await moving;
    }

    // One node is truncated by hand. What the other nodes own is no concern of that. The mover's own locks, for which TRUNCATE would wait, are lost before.
    private static async Task TruncateAsync(MutantStage stage, bool isMade)
    {
        const string Holders = "pg_stat_activity WHERE application_name LIKE 'shardproxy/migration/%'";
        var moving = await stage.MoveToAsync("checksums", isAfter: false);
        foreach (var node in new[] { stage.Source, stage.Target })
        {
            await using var connection = await stage.Cluster.OpenNodeAsync(node);
            await MutantStage.RunAsync(connection, $"SELECT pg_terminate_backend(pid) FROM {Holders}");
            await Patience.SoonAsync(() => MutantStage.IsSoAsync(connection, $"SELECT NOT EXISTS (SELECT FROM {Holders})"), MutantStage.Deadline);
        }

        if (isMade)
        {
            var publication = await stage.Cluster.ScalarAsync<string>(stage.Source, "SELECT pubname::text FROM pg_publication WHERE pubname LIKE 'shardproxy%' AND pubname NOT LIKE '%back'");
            await stage.Cluster.ExecuteAsync(stage.Source, $"ALTER PUBLICATION {publication} SET (publish = 'insert, update, delete, truncate')");
            foreach (var node in new[] { stage.Source, stage.Target })
            {
                await stage.Cluster.ExecuteAsync(
                    node, "DO $$ DECLARE t record; BEGIN FOR t IN SELECT tgname, tgrelid::regclass AS r FROM pg_trigger WHERE tgname LIKE '~~shardproxy%\\_t' LOOP EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.r); END LOOP; END $$");
            }
        }

        var own = stage.Ledger.TokensThere().Where(k => stage.Map.OfKey(k).Node == stage.Source).ToList();
        own.ForEach(stage.Ledger.BeginDelete);
        try
        {
            await stage.Cluster.ExecuteAsync(stage.Source, "TRUNCATE tokens");
            own.ForEach(k => stage.Ledger.EndDelete(k, Answer.Acknowledged));
        }
        catch (PostgresException)
        {
            own.ForEach(k => stage.Ledger.EndDelete(k, Answer.Refused));
        }

        if (isMade)
        {
            // The end of the move would take the stream away.
            await using var looker = await stage.Cluster.OpenNodeAsync(stage.Target);
            await Patience.SoonAsync(() => MutantStage.IsSoAsync(looker, "SELECT NOT EXISTS (SELECT FROM tokens)"), MutantStage.Deadline);
        }

        stage.Leader.Go();
        await moving;
    }

    // Runs as the mover, inside the transaction that closes the gate.
    private static Task OnMarkerAsync(MutantStage stage, string body) => stage.Cluster.ExecuteAsync(
        stage.Source,
        $"""
        CREATE FUNCTION shardproxy.mutant() RETURNS trigger LANGUAGE plpgsql AS $f$
        DECLARE flag bigint;
        BEGIN
            EXECUTE format('SELECT last_value FROM %s', (SELECT c.oid::regclass FROM pg_class c WHERE c.relkind = 'S' AND c.relname LIKE 'gate\_' || NEW.migration_id || '%')) INTO flag;
            IF flag = 2 THEN {body} END IF;
            RETURN NEW;
        END $f$;
        CREATE TRIGGER mutant BEFORE INSERT ON shardproxy.marker FOR EACH ROW EXECUTE FUNCTION shardproxy.mutant();
        """);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
