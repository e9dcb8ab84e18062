using ShardProxy.Model.Fleet;

namespace ShardProxy.Control.Migration;

/// <summary>Limits and paces of migrations. The defaults are for production; tests and the demo keep them too.</summary>
public sealed record MigrationOptions
{
    /// <summary>How long the lock for a gate or a replica identity may make others queue, in one try.</summary>
    public TimeSpan TableLockTry { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Until when such a lock must have been had.</summary>
    public TimeSpan TableLockDeadline { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>The proxies' answer to a ghost barrier.</summary>
    public TimeSpan BarrierDeadline { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Creating the slot waits for every transaction that is open on the source.</summary>
    public TimeSpan SlotDeadline { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>The whole copy of one range.</summary>
    public TimeSpan CopyDeadline { get; init; } = TimeSpan.FromHours(12);

    /// <summary>From the end of the copy until the target follows closely.</summary>
    public TimeSpan CatchUpDeadline { get; init; } = TimeSpan.FromHours(2);

    public TimeSpan VerifyDeadline { get; init; } = TimeSpan.FromHours(2);

    /// <summary>All tries of a cutover together.</summary>
    public TimeSpan CutoverDeadline { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Removing helper objects and ghost rows, one try of the whole.</summary>
    public TimeSpan CleanUpDeadline { get; init; } = TimeSpan.FromHours(2);

    /// <summary>How long new work on a range may be held until the cutover is through or given up.</summary>
    public TimeSpan HoldBudget { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>The part of <see cref="HoldBudget"/> in which transactions on the range may end.</summary>
    public TimeSpan DrainBudget { get; init; } = TimeSpan.FromMilliseconds(25);

    /// <summary>
    /// How many times over the limits of a cutover (hold budget, age of transactions, lag) may grow when an overloaded source keeps
    /// missing them.
    /// </summary>
    public double MaximumPatience { get; init; } = 20;

    /// <summary>A cutover is not announced while a transaction older than this touches the range.</summary>
    public TimeSpan OldestTransaction { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>A cutover is not announced while a marker takes longer than this to the target.</summary>
    public TimeSpan AllowedLag { get; init; } = TimeSpan.FromMilliseconds(25);

    /// <summary>Announced and given up so often, a cutover fails the migration.</summary>
    public int CutoverTries { get; init; } = 200;

    /// <summary>Between two looks for a marker on the target.</summary>
    public TimeSpan MarkerPoll { get; init; } = TimeSpan.FromMilliseconds(1);

    /// <summary>Pages of a table in one COPY: behind each the copy may rest.</summary>
    public int CopyChunkPages { get; init; } = 512;

    /// <summary>Pages of a table that verification reads at once, on each side: between them it rests.</summary>
    public int VerifyChunkPages { get; init; } = 1024;

    /// <summary>COPYs at the same time.</summary>
    public int CopyParallelism { get; init; } = 2;

    /// <summary>Where the target has no rows of a table yet and so many are to come, its secondary indexes are made behind the copy.</summary>
    public long DeferredIndexesFromRows { get; init; } = 10_000;

    /// <summary>Bytes a second of one move's copy; 0 for no limit of its own.</summary>
    public long MaximumCopyRate { get; init; }

    /// <summary>
    /// While clients keep source or target busy the copy and the verification rest, at most so many times as long as they worked: 9 leaves them a tenth of the time. 0 never
    /// rests.
    /// </summary>
    public double MaximumYield { get; init; } = 9;

    /// <summary>Copy and verification pause while a trivial query takes longer on the source or the target; zero for no limit.</summary>
    public TimeSpan MaximumSourceLatency { get; init; }

    /// <summary>The copy pauses while a physical standby of the source or the target is further behind; zero for no limit.</summary>
    public TimeSpan MaximumReplicaLag { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Where a moved range's rows are kept as files before the source deletes them; null: they are not.</summary>
    public string? ArchiveDirectory { get; init; }

    /// <summary>Pages of a table in one clean-up transaction.</summary>
    public int CleanUpChunkPages { get; init; } = 512;

    /// <summary>Rest between two clean-up transactions, as a share of the time the last one took.</summary>
    public double CleanUpRestShare { get; init; } = 0.5;

    /// <summary>REPLICA IDENTITY FULL makes the target scan the table for every changed row: refused above so many rows.</summary>
    public long MaximumRowsWithoutIdentity { get; init; } = 5_000_000;

    /// <summary>
    /// How long the way back is kept open after a cutover: the source's rows stay and follow the target's by a reverse stream. Zero: the source is cleaned at once.
    /// </summary>
    public TimeSpan RollbackWindow { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A window closes early when its slot holds back more than so many bytes of the target's WAL.</summary>
    public long RollbackMaximumWal { get; init; } = 1L << 30;

    /// <summary>Open windows that one node may take part in; the oldest closes for another. Each takes an apply worker and a slot.</summary>
    public int RollbackWindowsPerNode { get; init; } = 2;

    /// <summary>Between two looks at what an open window waits for.</summary>
    public TimeSpan WindowPoll { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>A migration that control planes found unfinished so often is not begun again.</summary>
    public int MaximumAttempts { get; init; } = 3;

    /// <summary>A move is refused while a transaction older than this writes on the source: the slot would wait for its end.</summary>
    public TimeSpan OldestTransactionAtStart { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Ask the target's system for its free disk space, by a program that PostgreSQL starts (<c>df</c>).</summary>
    public bool ChecksDiskSpace { get; init; } = true;

    /// <summary>What this process's shadow reads find; null where there are none.</summary>
    public ShadowBoard? Shadow { get; init; }

    /// <summary>Seed of the jitter in back-offs.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>
    /// For fault harnesses: called with the migration's id and the step, before a step (it is in the journal, nothing of it is done) with false and after
    /// it (all of it is done, the next is not in the journal) with true.
    /// </summary>
    internal Func<int, string, bool, Task>? AtStep { get; init; }

    /// <summary>For fault harnesses: the mistake to make, to show that it would be found. Never set by a configuration.</summary>
    internal MigrationMutant Mutant { get; init; }
}
