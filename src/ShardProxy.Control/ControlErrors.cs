using ShardProxy.Model.Errors;

namespace ShardProxy.Control;

/// <summary>Errors of the control plane: 5xx migration, 62x table distribution.</summary>
internal static class ControlErrors
{
    public static readonly ShardProxyError HandingOver = new(
        "55006", "SHP-514", "nothing can be placed or moved while a hand-over to a new process is under way", "Try again when the old process has ended; SHOW VERSION tells.");

    public static readonly ShardProxyError NotLeading = new(
        "55006", "SHP-518", "another proxy leads: this one follows, and neither moves ranges nor places tables", "Connect to the console of the proxy that SHOW PROXIES says leads.");

    public static readonly ShardProxyError LeaderDidNotBegin = new(
        "55006", "SHP-523", "the proxy that leads has not begun the statement: nothing was done", "Try again in a moment; SHOW PROXIES says who leads.");

    public static readonly ShardProxyError LeaderLost = new(
        "08007",
        "SHP-524",
        "the proxy that leads was lost while it carried the statement out",
        "SHOW MIGRATIONS, SHOW TABLES and SHOW RANGES say what came of it; its successor ends what was begun.");

    public static ShardProxyError CannotHandOver(string why) => new(
        "55006", "SHP-515", $"the proxy that runs cannot hand over: {why}", "It goes on as before. Start the new one when SHOW MIGRATIONS shows none running.");

    public static ShardProxyError RangeUnknown(int rangeId) => new(
        "42704", "SHP-501", $"range {rangeId} does not exist", "SHOW RANGES lists them.");

    public static ShardProxyError NodeUnknown(string node) => new(
        "42704", "SHP-502", $"node \"{node}\" does not exist", "SHOW NODES lists them.");

    public static ShardProxyError RangeBusy(int rangeId, int migrationId) => new(
        "55006", "SHP-503", $"range {rangeId} is being moved by migration {migrationId}", "Wait for it, or CANCEL MIGRATION it.");

    public static ShardProxyError MigrationUnknown(int id) => new(
        "42704", "SHP-504", $"migration {id} is not running", "SHOW MIGRATIONS lists them.");

    public static ShardProxyError PastCommitPoint(int id) => new(
        "55000", "SHP-505", $"migration {id} has passed its commit point", "ROLLBACK MIGRATION brings the range back.");

    public static ShardProxyError MigrationFailed(int id, string reason) => new(
        "58000", "SHP-506", $"migration {id} failed", "The range is served from where it was before; nothing was lost. Try again.", reason);

    public static ShardProxyError MigrationCancelled(int id) => new(
        "57014", "SHP-507", $"migration {id} was cancelled", "The range is served from where it was before.");

    public static ShardProxyError CannotRollBack(int id, string why, string hint) => new(
        "55000", "SHP-519", $"migration {id} cannot be rolled back: {why}", hint);

    public static ShardProxyError RollbackFailed(int id, string reason) => new(
        "58000", "SHP-520", $"the rollback of migration {id} failed", "The range is served by the migration's target as before; nothing was lost. Try again.", reason);

    public static ShardProxyError Preflight(string message, string hint) => new("55000", "SHP-508", message, hint);

    /// <param name="table">The table.</param>
    /// <param name="difference">The first difference, in words.</param>
    /// <param name="others">How many more there are.</param>
    public static ShardProxyError TablesDiffer(string table, string difference, int others) => Preflight(
        $"table {table} is not the same on both nodes: {difference}{(others > 0 ? $", and {others} more" : "")}", "Make them equal, then move again: DDL through the proxy keeps them so.");

    public static ShardProxyError CannotApply(string node) => new(
        "58000", "SHP-521", $"node {node} cannot apply the changes of the range", "The server's log there has the reason, such as a constraint or a full disk: remove it, then move again.");

    public static ShardProxyError ShadowReadDiffers(Model.Fleet.ShadowDifference difference) => new(
        "XX001",
        "SHP-522",
        "a live read gives other rows on the migration's target than on the range's owner",
        "The range stays where it was. Look for something that writes to the target directly.",
        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"Statement: {difference.Shape}. Key's place: {(difference.KeyHash is { } hash ? hash : "unknown")}."));

    public static ShardProxyError VerificationFailed(string table, string detail) => new(
        "XX001",
        "SHP-509",
        $"the copy of table {table} differs from the source",
        "The range stays where it was. Look for something that writes to the target directly.",
        detail);

    public static ShardProxyError StepTimedOut(string step, TimeSpan limit) => new(
        "57014", "SHP-510", $"the migration's step \"{step}\" did not end within {limit.TotalSeconds:0.#} s", "Look for long transactions or prepared transactions on the range's nodes.");

    public static ShardProxyError CutoverTooBusy(int attempts) => new(
        "55P03",
        "SHP-511",
        $"the cutover was given up after {attempts} attempts",
        "Transactions on the range stay open longer than the hold may last: end them or shorten them, then move again.");

    public static ShardProxyError SplitOutside(int rangeId) => new(
        "22023", "SHP-512", $"the split point is not inside range {rangeId}", "Give a point above the range's from and below its to.");

    public static ShardProxyError TableUnknown(string table) => new(
        "42P01", "SHP-620", $"table {table} does not exist on the home node", "Create it through the proxy first.");

    public static ShardProxyError NotATable(string table, string kind) => new(
        "42809", "SHP-621", $"{table} is {kind}, which cannot be distributed", "Distribute an ordinary table.");

    public static ShardProxyError AlreadyPlaced(string table) => new(
        "42710", "SHP-622", $"table {table} is already distributed", "SHOW TABLES lists the distributed tables.");

    public static ShardProxyError ColumnUnknown(string table, string column) => new(
        "42703", "SHP-623", $"table {table} has no column \"{column}\"", "Name existing columns as the shard key.");

    public static ShardProxyError KeyTypeUnsupported(string column, string type) => new(
        "0A000",
        "SHP-624",
        $"column \"{column}\" of type {type} cannot be a shard key",
        "Use smallint, integer, bigint, text, varchar or uuid, text with a built-in deterministic collation.");

    public static ShardProxyError RangeKeyTypeUnsupported(string column, string type) => new(
        "0A000",
        "SHP-624",
        $"column \"{column}\" of type {type} cannot be a shard key",
        "For BY RANGE use smallint, integer, bigint, numeric, text, varchar, uuid, date, timestamp or timestamp with time zone.");

    public static ShardProxyError RangeKeyOrder(string column) => new(
        "0A000",
        "SHP-638",
        $"column \"{column}\" is ordered by a collation that the proxy cannot compare by",
        "Text keys of BY RANGE need the order of collation C, POSIX or C.UTF-8: ALTER TABLE … ALTER COLUMN … TYPE text COLLATE \"C\".");

    public static ShardProxyError RangeKeyOrderElsewhere(string node) => new(
        "55000",
        "SHP-638",
        $"the database on node {node} is ordered by a collation that the proxy cannot compare by",
        "Give the key column COLLATE \"C\", or make the database there with the home node's collation.");

    public static ShardProxyError ColocationMethod(string table, string with) => new(
        "42804", "SHP-629", $"table {table} cannot be co-located with {with}, which is sharded by the other method", "Use the method of that table; SHOW GROUPS lists it.");

    public static ShardProxyError SplitKeyInvalid(int column, string type) => new(
        "22023", "SHP-516", $"value {column} of the split point is no {type}", "Give values of the key columns' types, in key order; the later ones may be left out.");

    public static ShardProxyError SplitKeyCount(int columns) => new(
        "22023", "SHP-516", $"the split point has more values than the key has columns ({columns})", "Give values of the key columns' types, in key order; the later ones may be left out.");

    public static ShardProxyError SplitPlaceUnknown(int rangeId) => new(
        "55000", "SHP-517", $"no key is known at which range {rangeId} could be split there", "Give one: SPLIT RANGE id AT ('key').");

    public static ShardProxyError KeyHasNulls(string table, string column) => new(
        "23502", "SHP-625", $"column \"{column}\" of table {table} has NULLs and cannot be a shard key", "Fill them in, or choose another column.");

    public static ShardProxyError UniqueWithoutKey(string table, string constraint) => new(
        "0A000",
        "SHP-626",
        $"unique index \"{constraint}\" of table {table} does not contain the shard key",
        "Uniqueness cannot be kept over several nodes: add the key's columns to it, drop it, or choose the key from its columns.");

    public static ShardProxyError Inherits(string table) => new(
        "0A000", "SHP-628", $"table {table} takes part in inheritance", "Distribute plain or partitioned tables.");

    public static ShardProxyError IsPartition(string table, string parent) => new(
        "0A000", "SHP-628", $"table {table} is a partition of {parent}", $"Distribute {parent}: its partitions go along.");

    public static ShardProxyError ColocationMismatch(string table, string with) => new(
        "42804", "SHP-629", $"the shard key of table {table} has other types than that of {with}", "Co-located tables need the same key types in the same order.");

    public static ShardProxyError NotSharded(string table) => new(
        "42809", "SHP-630", $"table {table} is not sharded", "Name a sharded table after COLOCATE WITH.");

    public static ShardProxyError NotPlaced(string table) => new(
        "42809", "SHP-642", $"table {table} is neither sharded nor replicated, or is being placed", "SHOW TABLES lists them.");

    public static ShardProxyError StillReferenced(string table, string child) => new(
        "2BP01", "SHP-643", $"table {table} is referenced by a foreign key of table {child}, which other nodes could not check", "Unshard that table first, or drop the foreign key.");

    public static ShardProxyError ExistsElsewhere(string table, string node) => new(
        "42P07", "SHP-631", $"table {table} exists on node {node} already", "Drop or rename it there, after looking at what it holds.");

    public static ShardProxyError DistributionFailed(string table, string reason) => new(
        "58000", "SHP-632", $"table {table} could not be distributed", "Everything was undone; the table is on the home node as before.", reason);

    public static ShardProxyError CopyMismatch(string table) => new(
        "XX001", "SHP-633", $"the distributed copy of table {table} differs from the original", "The original was kept. Try again while nothing writes to the nodes directly.");

    public static ShardProxyError UnsupportedTableFeature(string table, string what, string hint) => new(
        "0A000", "SHP-634", $"table {table} {what}", hint);

    public static ShardProxyError DependencyMissing(string table, string needed, string node, string reason) => new(
        "0A000", "SHP-636", $"table {table} needs {needed}, which cannot be made on node \"{node}\"", "Create it there directly, as it is on the home node, or take it out of the table.", reason);

    public static ShardProxyError DependencyDiffers(string table, string needed, string node) => new(
        "55000", "SHP-637", $"table {table} needs {needed}, which is another one on node \"{node}\" and in use there", "Make it the same on both nodes, or rename one.");

    public static ShardProxyError GroupIsMoving(string table) => new(
        "55006", "SHP-635", $"a range of the group of table {table} is being moved", "Try again when SHOW MIGRATIONS shows it done.");
}
