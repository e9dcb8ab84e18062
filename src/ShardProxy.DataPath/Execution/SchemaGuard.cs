using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Looks at what DDL has made of sharded tables, on the home node and inside the transaction that is still open: unique and exclusion
/// constraints must contain the key, for nobody can check them over several nodes, the key itself must be what rows were placed by, and each node must be able to
/// check foreign keys for its own rows.
/// </summary>
internal static class SchemaGuard
{
    /// <summary>True when the DDL may stand; else the error has been written.</summary>
    public static async ValueTask<bool> CheckAsync(Session session, RoutePlan plan, RoutingTable table, StatementShape shape)
    {
        var server = await SessionServers.GetAsync(session, table.HomeNode).ConfigureAwait(false);
        foreach (var placed in plan.Tables.Where(t => t.Placement == TablePlacement.Sharded))
        {
            DialogResult result;
            try
            {
                result = await SideDialog.RunAsync(server, Query(placed)).ConfigureAwait(false);
            }
            catch (EndOfStreamException)
            {
                ServerLoss.Report(session, server, mayHaveWritten: false);
                return false;
            }

            if (!result.IsOk)
            {
                session.Fail(result.ErrorPayload!);
                return false;
            }

            // One row for the table and one for each partition below it.
            var verdicts = result.Rows.Select(r => Encoding.ASCII.GetString(r[0]!)).ToHashSet();
            if (verdicts.Contains("key") || verdicts.Contains("unique"))
            {
                session.Fail(verdicts.Contains("key") ? RoutingErrors.KeyColumnChanged : RoutingErrors.UniqueWithoutKey);
                return false;
            }
        }

        return plan.Tables.IsEmpty || await CheckForeignKeysAsync(session, plan, table, shape, server).ConfigureAwait(false);
    }

    // Also those of a table that is not placed: they wait for it to be, which nobody else knows before the transaction ends.
    private static async ValueTask<bool> CheckForeignKeysAsync(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, ServerConnection server)
    {
        DialogResult result;
        try
        {
            result = await SideDialog.RunAsync(server, ForeignKey.Query([.. plan.Tables.Select(t => t.Name)])).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, server, mayHaveWritten: false);
            return false;
        }

        if (!result.IsOk)
        {
            session.Fail(result.ErrorPayload!);
            return false;
        }

        foreach (var row in result.Rows)
        {
            var key = ForeignKey.Parse(Encoding.UTF8.GetString(row[0]!));
            var verdict = ForeignKeyRule.Judge(key, table.FindTable(key.Child), table.FindTable(key.Parent), out var error);

            // Only a new table is known to have no rows that nobody has checked.
            if (verdict == ForeignKeyVerdict.Refused || (verdict == ForeignKeyVerdict.Waits && shape.Kind == StatementKind.AlterTable && plan.IsHomeOnly && !table.Schema.ForeignKeys.Contains(key)))
            {
                session.Fail(error!);
                return false;
            }

            if (verdict == ForeignKeyVerdict.Waits && plan.IsHomeOnly)
            {
                UnseenCode.Note(session, key.Child.Name);
            }
        }

        return true;
    }

    private static string Query(PlacedTable placed)
    {
        var keys = placed.KeyColumns.Select(k => placed.Columns[k]).ToArray();
        var columns = string.Join(", ", keys.Select(k => $"({SqlIdentifier.Literal(k.Name)}::pg_catalog.name, {k.TypeOid.ToString(CultureInfo.InvariantCulture)}::pg_catalog.oid)"));
        var names = string.Join(", ", keys.Select(k => SqlIdentifier.Literal(k.Name)));
        var name = $"pg_catalog.to_regclass({SqlIdentifier.Literal(placed.Name.ToString())})";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"""
            SELECT CASE
                WHEN c.oid IS NULL THEN 'dropped'
                WHEN (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute a
                      WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attnotnull AND (a.attname, a.atttypid) IN ({columns})) <> {keys.Length} THEN 'key'
                WHEN EXISTS (SELECT FROM pg_catalog.pg_index i
                      WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion)
                        AND NOT (SELECT pg_catalog.array_agg(a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ({names}))
                            <@ (i.indkey::int2[])[0:i.indnkeyatts - 1]) THEN 'unique'
                ELSE 'kept' END
            FROM (SELECT {name}::pg_catalog.oid AS oid UNION SELECT relid FROM pg_catalog.pg_partition_tree({name})) c
            """);
    }
}
