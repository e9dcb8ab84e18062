using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Execution;

/// <summary>Errors of execution over several nodes (SHP-4xx).</summary>
internal static class ExecutionErrors
{
    public static ShardProxyError ReplicasDiffer(string node) => new(
        "XX001",
        "SHP-402",
        $"a write to a replicated table changed another number of rows on node \"{node}\" than on the home node",
        "The statement was rolled back. Compare the replicated table on all nodes: someone wrote to one of them directly.");

    public static readonly ShardProxyError TooManyRows = new(
        "54000", "SHP-409", "a statement that runs on all nodes returns more than 10000 rows", "Leave RETURNING out, or write fewer rows at a time.");

    public static readonly ShardProxyError TooManyPulledRows = new(
        "54000", "SHP-412", "a write over several nodes carries more than 50000 rows or 32 MB from one to another", "Add conditions to what it reads, or write fewer rows at a time; INSERT … SELECT without ON CONFLICT and RETURNING into a sharded table has no such bound.");

    public static readonly ShardProxyError GatherRefused = new(
        "0A000", "SHP-225", "the statement cannot be finished on rows gathered from several nodes", "Add the shard key to its conditions, or name the columns it needs one by one.");

    public static readonly ShardProxyError GatherLocked = new(
        "0A000", "SHP-225", "rows of a table that this transaction has locked exclusively cannot be brought together from several nodes",
        "Commit TRUNCATE, ALTER TABLE or LOCK before it, or add the shard key to the statement's conditions.");

    public static readonly ShardProxyError GatherInexact = new(
        "0A000", "SHP-225", "rows of several nodes cannot be brought together exactly under these settings", "Set DateStyle to an ISO style and extra_float_digits to 1 or more.");

    public static readonly ShardProxyError GatherTime = new(
        "0A000", "SHP-226", "the statement over several nodes reads the present from a string or by age()",
        "Use current_timestamp, or give the time as a parameter.");

    public static readonly ShardProxyError LossyText = new(
        "0A000", "SHP-227", "values cannot be carried to their nodes as text with these settings", "Set extra_float_digits above 0, and DateStyle and IntervalStyle to their defaults.");

    public static ShardProxyError GatherTooLarge(string limit) => new(
        "54000",
        "SHP-411",
        $"the statement would gather more than {limit} from several nodes",
        "Add conditions that each node can apply, or the shard key; or raise limits.gather_rows and limits.gather_mb.");

    public static readonly ShardProxyError FencedTooOften = new(
        "40001", "SHP-403", "the statement met a closed write gate again and again", "Retry the transaction.");

    public static readonly ShardProxyError Fenced = new(
        "40001", "SHP-403", "the statement met a closed write gate: rows that it writes have moved, or are moving, to another node", "Retry the transaction.");

    public static readonly ShardProxyError ConformingStrings = new(
        "0A000", "SHP-410", "standard_conforming_strings cannot be turned off behind the proxy", "Write E'…' for strings with backslash escapes.");
}
