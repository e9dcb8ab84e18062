using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Routing;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Tells the client why a statement does not run. The home node has every table: if PostgreSQL itself cannot read the statement, its error is the one that
/// one PostgreSQL would give, and the refusal does not matter.
/// </summary>
internal static class RefusedStatement
{
    private const string NotSupported = "0A000";

    /// <summary>Writes the error of a statement of the simple protocol.</summary>
    public static async ValueTask TellAsync(Session session, ShardProxyError error, RoutingTable table, StatementShape shape, ReadOnlyMemory<byte> text)
    {
        // Which table is meant under an unknown search_path is nothing that the client may learn by chance.
        if (error.SqlState == NotSupported && !ReferenceEquals(error, RoutingErrors.SearchPath) && shape.Kind is StatementKind.Select or StatementKind.Insert or StatementKind.Update or StatementKind.Delete or StatementKind.Merge or StatementKind.Unparsable)
        {
            var home = await SessionServers.GetAsync(session, table.HomeNode).ConfigureAwait(false);
            try
            {
                // Classes of errors in what the client has written: syntax, names and rights; values; what PostgreSQL does not support.
                var read = await StatementCheck.RunAsync(home, text, []).ConfigureAwait(false);
                if (read.Error?.SqlState[..2] is "42" or "22" or "0A")
                {
                    session.Fail(read.ErrorPayload!);
                    return;
                }
            }
            catch (EndOfStreamException)
            {
                ServerLoss.Report(session, home, mayHaveWritten: false);
                return;
            }
        }

        session.Fail(error);
    }
}
