using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// The one moment of a transaction: what now() says on the server that joined it first. On every other server the moment is put in the place of now() and of
/// the defaults that tell it, so that all rows of a transaction have the same (PostgreSQL documentation, "Current Date/Time").
/// </summary>
internal static class TransactionMoment
{
    /// <summary>The moment, as <see cref="TransactionTimeText.Replace"/> takes it; the error's payload if it fails.</summary>
    /// <param name="session">The session; its servers owe nothing.</param>
    /// <param name="server">Whose it is if no server has joined the transaction yet.</param>
    /// <exception cref="EndOfStreamException">The server was lost.</exception>
    public static async ValueTask<(string? Timestamp, byte[]? Error)> OfAsync(Session session, ServerConnection server)
    {
        var transaction = session.Transaction;
        if (transaction.Moment is not null)
        {
            return (transaction.Moment, null);
        }

        var source = transaction.Participants.Count > 0 ? transaction.Participants[0] : server;
        var now = await SideDialog.RunAsync(source, "SELECT pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'").ConfigureAwait(false);
        if (!now.IsOk)
        {
            return (null, now.ErrorPayload);
        }

        var moment = Encoding.ASCII.GetString(now.Rows[0][0]!);
        if (transaction.State == BlockState.InBlock)
        {
            transaction.NoteMoment(moment, source);
        }

        return (moment, null);
    }

    /// <summary>The statement is in a block that has a moment, and may tell it: only then <see cref="PutInAsync"/> is called. Allocates nothing.</summary>
    public static bool MayConcern(Session session, StatementShape shape) =>
        session.Transaction is { State: BlockState.InBlock, MomentSource: not null } && session.IsSharded && (shape.MayTellTime || (shape.Insert is not null && MayLeaveMoments(session, shape)));

    private static bool MayLeaveMoments(Session session, StatementShape shape)
    {
        foreach (var table in RoutePlanner.PlanFor(shape, session.Services.Holder.Current, session.HasDefaultSearchPath).Tables)
        {
            foreach (var column in table.Columns)
            {
                if (column.Default is { Kind: ColumnDefaultKind.Moment })
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <summary>
    /// The text of a statement for one server with the moment in it; the text as it is where the server has the moment itself, and where the statement runs on
    /// several nodes, which is seen to there. Null when the client has been told an error.
    /// </summary>
    /// <exception cref="EndOfStreamException">The server was lost.</exception>
    public static async ValueTask<ReadOnlyMemory<byte>?> PutInAsync(
        Session session, StatementShape shape, ReadOnlyMemory<byte> statement, ReadOnlyMemory<byte> prefix, LiteralList literals, BoundParameters? parameters)
    {
        var table = session.Services.Holder.Current;
        var plan = RoutePlanner.PlanFor(shape, table, session.HasDefaultSearchPath);
        if (plan.Kind is not (RouteKind.Home or RouteKind.AnyNode or RouteKind.ByKey))
        {
            return statement;
        }

        var target = shape.Insert is not null ? plan.Tables.FirstOrDefault(t => t.Name.Name == shape.Relations[shape.Insert.TargetRelation].Name) : null;
        var absent = target is null ? [] : KeyDefaults.AbsentMoments(shape.Insert!, target);
        var text = Encoding.UTF8.GetString(statement.Span);
        if (absent.IsEmpty && !TransactionTimeText.HasTime(text))
        {
            return statement;
        }

        var transaction = session.Transaction;
        var source = transaction.MomentSource!;
        var node = plan.Kind == RouteKind.ByKey ? -1 : plan.Kind == RouteKind.Home || transaction.Participants.Count == 0 ? table.HomeNode.Id : transaction.Participants[0].Node.Id;
        if (plan.Kind == RouteKind.ByKey)
        {
            switch (Router.Route(plan, new KeyInput(prefix.Span, literals, parameters, session.Relay.Told), table, null, new TouchSet(), out var found, out _, out _))
            {
                case KeyRoute.Refused:
                    return statement;
                case KeyRoute.Node:
                    node = found;
                    break;
            }
        }

        if (transaction.Find(node) == source)
        {
            return statement;
        }

        if (!absent.IsEmpty)
        {
            if (!KeyDefaults.CanBeGiven(shape.Insert!))
            {
                session.Fail(ExecutionErrors.GatherTime);
                return null;
            }

            text = Encoding.UTF8.GetString(DefaultKeyValues.Text(target!, absent, shape.Insert!, statement, (_, index) => absent[index].Column.Default!.Text));
        }

        var (moment, error) = await OfAsync(session, source).ConfigureAwait(false);
        if (moment is null)
        {
            session.Fail(error!);
            return null;
        }

        return Encoding.UTF8.GetBytes(TransactionTimeText.Replace(text, moment));
    }
}
