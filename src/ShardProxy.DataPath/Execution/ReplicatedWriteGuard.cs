using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Makes sure that a write to a replicated table stores the same on every node: the time of the transaction is put into the text once, and
/// values that each node would make for itself (defaults that call functions, identity columns, 'now') are refused.
/// </summary>
internal sealed class ReplicatedWriteGuard
{
    // By the table's definition, which is a new object after every change of placement.
    private readonly ConditionalWeakTable<PlacedTable, HashSet<string>> _movingDefaults = [];

    /// <summary>The command to run on all nodes, or null after the error has been written.</summary>
    public async ValueTask<NodeCommand?> PrepareAsync(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, NodeCommand command)
    {
        var text = Encoding.UTF8.GetString(command.Sql.Span);
        if (TransactionTimeText.HasMovingLiteral(text) || HasMovingParameter(command.Parameters))
        {
            session.Fail(RoutingErrors.VolatileReplicated);
            return null;
        }

        var server = await SessionServers.GetAsync(session, table.HomeNode).ConfigureAwait(false);
        try
        {
            foreach (var target in Targets(shape, plan))
            {
                var moving = await MovingDefaultsAsync(server, target.Table).ConfigureAwait(false);
                if (moving.Any(column => !target.Written.Contains(column)))
                {
                    session.Fail(RoutingErrors.VolatileReplicated);
                    return null;
                }
            }

            if (!TransactionTimeText.HasTime(text))
            {
                return command;
            }

            var (timestamp, error) = await TransactionMoment.OfAsync(session, server).ConfigureAwait(false);
            if (timestamp is null)
            {
                session.Fail(error!);
                return null;
            }

            return command with { Sql = Encoding.UTF8.GetBytes(TransactionTimeText.Replace(text, timestamp)) };
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, server, mayHaveWritten: false);
            return null;
        }
    }

    // The columns each INSERT or COPY writes itself; the word DEFAULT anywhere counts as writing none.
    private static IEnumerable<(PlacedTable Table, HashSet<string> Written)> Targets(StatementShape shape, RoutePlan plan)
    {
        var hasDefault = Regex.IsMatch(shape.Text, @"\bdefault\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);
        var columns = shape.Insert?.Columns ?? shape.Copy?.Columns;
        if (columns is null && !hasDefault)
        {
            yield break;
        }

        foreach (var table in plan.Tables.Where(t => t.Placement == TablePlacement.Replicated && shape.Relations.Any(r => r.Role != RelationRole.Read && r.Name == t.Name.Name)))
        {
            var positional = shape.Insert is { Rows: [var first, ..] } ? first.Length : table.Columns.Length;
            yield return (table, hasDefault ? [] : columns is { IsEmpty: false } named ? [.. named] : [.. table.Columns.Take(positional).Select(c => c.Name)]);
        }
    }

    private async ValueTask<HashSet<string>> MovingDefaultsAsync(ServerConnection server, PlacedTable table)
    {
        if (_movingDefaults.TryGetValue(table, out var known))
        {
            return known;
        }

        var result = await SideDialog.RunAsync(
            server,
            $"""
            SELECT a.attname FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = {SqlIdentifier.Literal(table.Name.ToString())}::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
              AND (a.attidentity <> '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~* '[a-z0-9_"]\s*\(|\mcurrent_|\mlocaltime|''(now|today|tomorrow|yesterday)')
            """).ConfigureAwait(false);
        if (!result.IsOk)
        {
            throw new ServerUnavailableException(result.ErrorPayload!);
        }

        var columns = result.Rows.Select(r => Encoding.UTF8.GetString(r[0]!)).ToHashSet(StringComparer.Ordinal);
        _movingDefaults.AddOrUpdate(table, columns);
        return columns;
    }

    /// <summary>A parameter is one of the words the date and time types read as the present.</summary>
    internal static bool HasMovingParameter(BoundParameters? parameters)
    {
        for (var i = 0; parameters is not null && i < parameters.Count; i++)
        {
            if (!parameters.IsNull(i) && !parameters.IsBinary(i) && parameters.Value(i).Length <= 16
                && TransactionTimeText.HasMovingLiteral("'" + Encoding.UTF8.GetString(parameters.Value(i))))
            {
                return true;
            }
        }

        return false;
    }
}
