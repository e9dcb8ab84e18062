using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Looks at what DDL has made of sharded tables, on the home node and inside the transaction that is still open: unique and exclusion
/// constraints must contain the key, for nobody can check them over several nodes, and the key itself must be what rows were placed by.
/// </summary>
internal static class SchemaGuard
{
    /// <summary>True when the DDL may stand; else the error has been written.</summary>
    public static async ValueTask<bool> CheckAsync(Session session, RoutePlan plan, RoutingTable table)
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

            switch (result.Rows.Count == 1 && result.Rows[0][0] is { } verdict ? Encoding.ASCII.GetString(verdict) : "")
            {
                case "key":
                    session.Fail(RoutingErrors.KeyColumnChanged);
                    return false;
                case "unique":
                    session.Fail(RoutingErrors.UniqueWithoutKey);
                    return false;
            }
        }

        return true;
    }

    private static string Query(PlacedTable placed)
    {
        var keys = placed.KeyColumns.Select(k => placed.Columns[k]).ToArray();
        var columns = string.Join(", ", keys.Select(k => $"({SqlIdentifier.Literal(k.Name)}::pg_catalog.name, {k.TypeOid.ToString(CultureInfo.InvariantCulture)}::pg_catalog.oid)"));
        var names = string.Join(", ", keys.Select(k => SqlIdentifier.Literal(k.Name)));
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
            FROM (SELECT pg_catalog.to_regclass({SqlIdentifier.Literal(placed.Name.ToString())})::pg_catalog.oid AS oid) c
            """);
    }
}
