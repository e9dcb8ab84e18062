using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Routing;

/// <summary>Refusals of statements (SHP-2xx): law 1, right or refused.</summary>
internal static class RoutingErrors
{
    private const string NotSupported = "0A000";

    public static readonly ShardProxyError NoKey = new(
        NotSupported, "SHP-201", "the statement does not fix the shard key of every sharded table it names",
        "Add a condition key = constant for each of them, as EXPLAIN ROUTE on the console shows.");

    public static readonly ShardProxyError SeveralNodes = new(
        NotSupported, "SHP-202", "the statement's keys are on several nodes",
        "Split it into one statement a key.");

    public static readonly ShardProxyError UnshardedJoin = new(
        NotSupported, "SHP-203", "the statement joins sharded with unsharded tables",
        "REPLICATE the unsharded tables on the console so that every node has them.");

    public static readonly ShardProxyError SeveralGroups = new(
        NotSupported, "SHP-204", "the statement names sharded tables of several table groups",
        "Co-locate the tables with SHARD TABLE … COLOCATE WITH on the console.");

    public static readonly ShardProxyError KeyUpdate = new(
        NotSupported, "SHP-205", "the new shard key is not a constant, or cannot be told before the statement runs", "Give the whole new key as literals or parameters, or delete the row and insert it with its new key.");

    public static readonly ShardProxyError KeyUpdateWithTriggers = new(
        NotSupported, "SHP-205", "the row would go to another node, and its table has triggers, is referenced by foreign keys, or references a sharded table", "Delete the row and insert it with its new key.");

    public static readonly ShardProxyError UnprovenKey = new(
        NotSupported, "SHP-206", "the value of the shard key cannot be proven before the statement runs",
        "Give the key as a plain literal or parameter of the column's own type.");

    public static readonly ShardProxyError OpaqueRelation = new(
        NotSupported, "SHP-207", "the statement names a view over sharded tables in a way that its query cannot take the view's place",
        "A SELECT may, of a user with rights on the view and on its tables; else name the tables themselves.");

    public static readonly ShardProxyError OpaqueTarget = new(
        NotSupported, "SHP-228", "the statement writes a table with a trigger, rule, default or check that names sharded or replicated tables",
        "Let the application run those statements, or disable the trigger.");

    public static readonly ShardProxyError OpaqueResult = new(
        NotSupported, "SHP-229", "a materialised view cannot be made of sharded or replicated tables", "Make a table of it with CREATE TABLE and INSERT … SELECT.");

    public static readonly ShardProxyError UnseenCode = new(
        NotSupported, "SHP-207", "the statement names a view or function over sharded tables, or a table that references them, that its own transaction has made", "Commit first.");

    public static readonly ShardProxyError UnseenPartition = new(
        NotSupported, "SHP-207", "the statement names a partition of a sharded or replicated table that its own transaction has made", "Commit first.");

    public static readonly ShardProxyError Partition = new(
        NotSupported, "SHP-232", "the table cannot become a partition: its rows are not placed as those of the partitioned table are",
        "SHARD TABLE it with COLOCATE WITH the partitioned table and the same key columns first, or create the partition empty with CREATE TABLE … PARTITION OF.");

    public static readonly ShardProxyError PartitionForm = new(
        NotSupported, "SHP-232", "a partition of a sharded or replicated table cannot be made or detached in this way",
        "Leave out CONCURRENTLY, TEMPORARY and REFERENCES: add foreign keys to the partitioned table.");

    public static readonly ShardProxyError OpaqueFunction = new(
        NotSupported, "SHP-208", "the statement calls a function whose body names sharded or replicated tables",
        "Run the function's statements from the application.");

    public static readonly ShardProxyError Unparsable = new(
        NotSupported, "SHP-209", "the statement was not understood and names a sharded or replicated table",
        "Use the syntax of PostgreSQL 15, or send the statement to the node itself.");

    public static readonly ShardProxyError Unsupported = new(
        NotSupported, "SHP-210", "this kind of statement is not supported on sharded or replicated tables", "See docs/compatibility.md for what is.");

    public static readonly ShardProxyError SearchPath = new(
        NotSupported, "SHP-211", "a sharded or replicated table is named without its schema under a changed search_path",
        "Write the schema in front of the table's name.");

    public static readonly ShardProxyError DmlReturningNodes = new(
        NotSupported, "SHP-212", "the statement mixes writes to replicated tables with sharded ones", "Split it into two statements.");

    public static readonly ShardProxyError MultiStatement = new(
        NotSupported, "SHP-213", "several statements in one query string touch different nodes", "Send them one by one.");

    public static readonly ShardProxyError VolatileReplicated = new(
        NotSupported, "SHP-214", "a write to a replicated table may give each node another value",
        "Compute the value in the application and pass it as a parameter.");

    public static readonly ShardProxyError PipelineNodes = new(
        NotSupported, "SHP-215", "a pipeline outside a transaction block touches several nodes", "Send Sync between the statements, or use BEGIN.");

    public static readonly ShardProxyError TempShadow = new(
        NotSupported, "SHP-216", "a temporary table may not have the name of a sharded or replicated table", "Choose another name.");

    public static readonly ShardProxyError HoldTimeout = new(
        "40001", "SHP-217", "the statement was held by a moving range or a changing table for too long", "Retry the transaction.");

    public static readonly ShardProxyError MixedUtility = new(
        NotSupported, "SHP-218", "the statement names sharded or replicated tables together with unsharded ones in a way that cannot be split",
        "Send one statement a table.");

    public static readonly ShardProxyError AggregateType = new(
        NotSupported, "SHP-219", "an aggregate over several nodes has a type the proxy does not combine",
        "count, and sum, min and max of integers and numeric are combined; add the shard key otherwise.");

    public static readonly ShardProxyError Encoding = new(
        NotSupported, "SHP-220", "text shard keys need client_encoding UTF8", "Set client_encoding to UTF8.");

    public static readonly ShardProxyError UniqueWithoutKey = new(
        NotSupported, "SHP-221", "a unique constraint of a sharded table must contain its shard key",
        "Add the shard key's columns to the constraint: uniqueness over several nodes cannot be checked otherwise.");

    public static readonly ShardProxyError KeyColumnChanged = new(
        NotSupported, "SHP-223", "a shard key's columns must keep their names, their types and NOT NULL",
        "Make a new table with another key and copy the rows.");

    public static readonly ShardProxyError QueryWithoutSync = new(
        NotSupported, "SHP-224", "a simple query or function call follows statements of the extended protocol without a Sync between them",
        "Send Sync before it, or use BEGIN.");

    public static readonly ShardProxyError TypeUnknown = new(
        NotSupported, "SHP-230", "a type in the statement or in its result is not known on every node it goes through",
        "Types have to be made through the proxy, so that every node has them; one made just now is known when its transaction has ended. SHARD TABLE and REPLICATE TABLE bring a table's types to the nodes.");

    public static readonly ShardProxyError BinaryCopyTypes = new(
        NotSupported, "SHP-230", "binary COPY data may hold type numbers that differ between the nodes", "Use the text or csv format.");

    public static readonly ShardProxyError CopyFormat = new(
        NotSupported, "SHP-222", "COPY with these options cannot be split by key", "Use COPY … FROM STDIN in text, csv or binary format with a single-byte delimiter, line feeds as line ends, and the key columns named.");
}
