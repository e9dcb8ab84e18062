using System.Text;
using Npgsql;
using ShardProxy.Control.Nodes;
using ShardProxy.Model.Topology;

namespace ShardProxy.Control.Migration.Preparing;

/// <summary>
/// The gate of DESIGN section 6 on one node: row triggers on every table of the group that stop writers of the range, and a sequence that says
/// whether it is open. A sequence is not MVCC and not undone by a rollback: whoever gives up reopens explicitly.
/// </summary>
internal static class RangeGate
{
    /// <summary>Creates the sequence and sets it; the triggers come after it and go before it.</summary>
    public static async Task CreateSequenceAsync(MigrationContext context, Node node, bool isOpen, CancellationToken cancellationToken)
    {
        await using var connection = await context.Connections.OpenAsync(node, cancellationToken);
        var sequence = context.Names.GateSequence;
        await connection.RunAsync(
            $"CREATE SEQUENCE IF NOT EXISTS {sequence}; SELECT pg_catalog.setval('{sequence}', {(isOpen ? NodeSchema.GateOpen : NodeSchema.GateClosed)})",
            cancellationToken);
    }

    /// <summary>Creates the triggers of that part on one table in one transaction, and has its changes carry what a stream needs.</summary>
    public static async Task CreateTriggersAsync(MigrationContext context, Node node, TableSurvey survey, GatePart part, CancellationToken cancellationToken)
    {
        long sequenceOid;
        await using (var connection = await context.Connections.OpenAsync(node, cancellationToken))
        {
            sequenceOid = await connection.ScalarAsync<long>($"SELECT '{context.Names.GateSequence}'::regclass::oid::bigint", cancellationToken);
        }

        var table = survey.Table;
        var (inserted, deleted) = (table.Predicate("NEW."), table.Predicate("OLD."));
        var call = $"EXECUTE FUNCTION shardproxy.gate('{context.RangeId}', '{context.Names.Label}', '{sequenceOid}', '{context.Names.Stream}', '{context.Names.ReverseStream}')";
        var sql = new StringBuilder();
        if (!table.HasGeneratedKey)
        {
            Row("b", "BEFORE");
        }

        if (table.HasGeneratedKey || survey.HasUserBeforeTriggers)
        {
            Row("a", "AFTER");
        }

        if (part != GatePart.Inserts)
        {
            Add("t", "BEFORE TRUNCATE", "FOR EACH STATEMENT EXECUTE FUNCTION shardproxy.refuse_truncate()");
            if (survey.RestoreIdentity(node.Id == context.Source.Id) is not null)
            {
                sql.Append($"ALTER TABLE ONLY {table.Sql} REPLICA IDENTITY FULL;");
            }
        }

        await TableDdl.RunAsync(context, node, sql.ToString(), cancellationToken);

        void Row(string suffix, string when)
        {
            if (part != GatePart.AllButInserts)
            {
                Add(suffix + "i", when + " INSERT", $"FOR EACH ROW WHEN ({inserted}) {call}");
            }

            if (part != GatePart.Inserts)
            {
                Add(suffix + "d", when + " DELETE", $"FOR EACH ROW WHEN ({deleted}) {call}");
                Add(suffix + "u", when + " UPDATE", $"FOR EACH ROW WHEN ({deleted} OR {inserted}) {call}");
            }
        }

        void Add(string suffix, string when, string rest)
        {
            var name = context.Names.GateTrigger(suffix);
            sql.Append($"CREATE TRIGGER {name} {when} ON {table.Sql} {rest}; ALTER TABLE ONLY {table.Sql} ENABLE ALWAYS TRIGGER {name};");
        }
    }

    /// <summary>Opens the gate. Idempotent; survives whatever the caller's transaction does.</summary>
    public static async Task OpenAsync(NpgsqlConnection connection, MigrationNames names, CancellationToken cancellationToken) =>
        await connection.RunAsync(SetSql(names, NodeSchema.GateOpen), cancellationToken);

    /// <summary>The SQL that sets the flag, for callers that keep it prepared.</summary>
    public static string SetSql(MigrationNames names, int value) => $"SELECT pg_catalog.setval('{names.GateSequence}', {value})";

    /// <summary>The SQL that waits out every transaction that passed the gate, prepared ones too, and keeps new ones waiting.</summary>
    public static string LockSql(int rangeId) => $"SELECT pg_catalog.pg_advisory_xact_lock({NodeSchema.GateLockClass}, {rangeId})";

    /// <summary>Removes the triggers from one table and restores its replica identity; idempotent.</summary>
    public static async Task DropTriggersAsync(MigrationContext context, Node node, string tableSql, string? restoreIdentity, CancellationToken cancellationToken)
    {
        List<string> names;
        await using (var connection = await context.Connections.OpenAsync(node, cancellationToken))
        {
            names = await connection.RowsAsync(
                "SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgname LIKE $2",
                r => r.GetString(0),
                cancellationToken,
                tableSql,
                context.Names.GateTriggerPattern);
        }

        var sql = new StringBuilder();
        foreach (var name in names)
        {
            sql.Append($"DROP TRIGGER IF EXISTS {name} ON {tableSql};");
        }

        if (restoreIdentity is not null && names.Count > 0)
        {
            sql.Append($"ALTER TABLE ONLY {tableSql} REPLICA IDENTITY {restoreIdentity};");
        }

        if (sql.Length > 0)
        {
            await TableDdl.WaitForHoldersAsync(context, node, tableSql, cancellationToken);
            await TableDdl.RunAsync(context, node, sql.ToString(), cancellationToken);
        }
    }
}

/// <summary>The gate's triggers on a table, or some of them.</summary>
internal enum GatePart
{
    All,

    /// <summary>What the target has while rows are copied to it: behind a BEFORE INSERT trigger PostgreSQL's COPY inserts them one by one.</summary>
    AllButInserts,

    Inserts,
}
