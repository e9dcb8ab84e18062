using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>Has the home node compute the keys that an INSERT gives as expressions, in the session's transaction and by its rights.</summary>
internal static class ComputedKeys
{
    // Result types whose text, cast to them again, is the same value; as the statement may write them.
    private static readonly Dictionary<uint, string> TypeNames = new() { [16] = "bool", [20] = "int8", [21] = "int2", [23] = "int4", [25] = "text", [1043] = "varchar", [1700] = "numeric", [2950] = "uuid" };

    /// <summary>
    /// Fills in, by computed key, the SQL of its value for each row. Returns the types of the statement's parameters, of which fewer may be left to tell them
    /// by; null when the client has been told an error.
    /// </summary>
    public static async ValueTask<uint[]?> MakeAsync(Session session, RoutePlan plan, StatementShape shape, NodeCommand command, string[]?[] values)
    {
        var computed = plan.DefaultedKeys.Index().Where(k => k.Item.IsComputed).ToList();
        var expressions = new List<(int Key, int Row, string Sql)>();
        foreach (var (index, key) in computed)
        {
            values[index] = new string[shape.Insert!.RowCount];
            foreach (var (row, sql) in InsertText.ValuesAt(command.Sql, shape.Insert, key.Position).Index())
            {
                if (shape.Insert.Rows[row][key.Position] is not null)
                {
                    values[index]![row] = sql;
                }
                else if (plan.Tables[0].Placement == TablePlacement.Replicated && TransactionTimeText.HasTime(sql))
                {
                    // Given its moment with the rest of the statement.
                    values[index]![row] = sql;
                }
                else if (sql.Equals("default", StringComparison.OrdinalIgnoreCase) || TransactionTimeText.HasTime(sql) || TransactionTimeText.HasMovingLiteral(sql))
                {
                    // The rest of the row has another moment.
                    return Refused(session, plan);
                }
                else
                {
                    expressions.Add((index, row, sql));
                }
            }
        }

        var server = await SessionServers.GetAsync(session, session.HomeNode).ConfigureAwait(false);
        try
        {
            return await ComputeAsync(session, server, plan, shape, command, expressions, values).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, server, mayHaveWritten: false);
            return null;
        }
    }

    private static async ValueTask<uint[]?> ComputeAsync(
        Session session, ServerConnection server, RoutePlan plan, StatementShape shape, NodeCommand command, List<(int Key, int Row, string Sql)> expressions, string[]?[] values)
    {
        // What a parameter is, the whole statement says.
        if (command.Parameters is { Count: > 0 } parameters)
        {
            var read = await StatementCheck.RunAsync(server, command.Sql, command.ParameterTypes ?? parameters.TypeOids).ConfigureAwait(false);
            if (!read.IsOk)
            {
                session.Fail(read.ErrorPayload!);
                return null;
            }

            command = command with { ParameterTypes = read.ParameterTypes };
        }

        SequenceTruth.AfterLease(session, server, shape);
        foreach (var (key, row, sql) in expressions)
        {
            // One by one: in the order of the rows, and no list of a SELECT is too long.
            var result = await SideDialog.RunAsync(server, command with { Sql = Encoding.UTF8.GetBytes($"SELECT ({sql}\n)"), TextResults = true }).ConfigureAwait(false);
            if (!result.IsOk)
            {
                session.Fail(result.ErrorPayload!);
                return null;
            }

            if (result.Rows is not [[var value]] || RowShape.Types(result.RowDescription ?? []) is not [var type] || !TypeNames.TryGetValue(type, out var name))
            {
                return Refused(session, plan);
            }

            if (value is not null && SequenceCalls.Find(Encoding.UTF8.GetBytes(sql)) is [{ Function: "nextval" } call] && IsWhole(sql))
            {
                // The row is stored elsewhere, and with it goes the session's place for the next question.
                session.DrawnNumbers.Note(call, Encoding.UTF8.GetString(value), session.HasDefaultSearchPath);
            }

            values[key]![row] = value is null ? $"NULL::{name}" : $"{SqlIdentifier.Literal(Encoding.UTF8.GetString(value))}::{name}";
        }

        return command.ParameterTypes ?? [];
    }

    private static bool IsWhole(string sql) => sql.IndexOf('(', StringComparison.Ordinal) == sql.LastIndexOf('(') && sql.EndsWith(')');

    private static uint[]? Refused(Session session, RoutePlan plan)
    {
        session.Fail(plan.Tables[0].Placement == TablePlacement.Replicated ? RoutingErrors.VolatileReplicated : RoutingErrors.UnprovenKey);
        return null;
    }
}
