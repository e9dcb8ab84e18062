using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>Fetches a query's rows as text, some hundred at a time, by a cursor in the transaction of one server after another.</summary>
internal static class PulledCursor
{
    private const int FetchRows = 500;
    private const string Name = "shardproxy_rows";

    /// <summary>Fetches all rows. A cursor does not see what is written after it was opened.</summary>
    /// <param name="session">The session.</param>
    /// <param name="servers">Each is in a transaction.</param>
    /// <param name="query">A SELECT.</param>
    /// <param name="shape">The client's statement: what its functions may leave on the session's own servers is looked for.</param>
    /// <param name="take">Takes some rows; false to stop.</param>
    /// <returns>Whether all rows were taken; a server's error, if it was one that stopped it.</returns>
    /// <exception cref="EndOfStreamException">A server was lost.</exception>
    public static async ValueTask<(bool IsDone, byte[]? Error)> ReadAsync(
        Session session, IEnumerable<ServerConnection> servers, NodeCommand query, StatementShape shape, Func<List<byte[]?[]>, ValueTask<bool>> take)
    {
        byte[] declare = [.. Encoding.UTF8.GetBytes($"DECLARE {Name} NO SCROLL CURSOR FOR "), .. query.Sql.Span];
        foreach (var server in servers)
        {
            if (await SideDialog.RunAsync(server, query with { Sql = declare }).ConfigureAwait(false) is { IsOk: false } refused)
            {
                return (false, refused.ErrorPayload);
            }

            if (!server.Key.IsWorkspace && StateRules.After(shape) is not StateKinds.None and var kinds)
            {
                VariableExecutor.Suspect(session, server, kinds);
            }

            for (var isOver = false; !isOver;)
            {
                var batch = await SideDialog.RunAsync(server, string.Create(CultureInfo.InvariantCulture, $"FETCH {FetchRows} FROM {Name}")).ConfigureAwait(false);
                if (!batch.IsOk || !await take(batch.Rows).ConfigureAwait(false))
                {
                    return (false, batch.ErrorPayload);
                }

                isOver = batch.Rows.Count < FetchRows;
            }

            if (await SideDialog.RunAsync(server, $"CLOSE {Name}").ConfigureAwait(false) is { IsOk: false } failed)
            {
                return (false, failed.ErrorPayload);
            }
        }

        return (true, null);
    }
}
