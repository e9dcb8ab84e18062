using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// A SELECT from views over placed tables: each view's name gives way to its query, as a subquery under the view's name, and the statement is routed and run
/// as if the client had sent it so. Only for users with rights on the view and on everything below it: then it makes no difference that a view reads with its
/// owner's rights. What stays unexpanded is refused (SHP-207).
/// </summary>
internal static class ViewExpansion
{
    private const int MaxDepth = 32;
    private const int MaxBytes = 1 << 20;

    /// <summary>The statement names such a view.</summary>
    public static bool Concerns(Session session, StatementShape shape)
    {
        var table = session.Services.Holder.Current;
        return !table.Schema.Views.IsEmpty && shape is { Gather: not null, HasRowLocking: false } && session is { IsSharded: true, IsTransparent: false }
            && ReferenceEquals(RoutePlanner.PlanFor(shape, table, session.HasDefaultSearchPath).Refusal, RoutingErrors.OpaqueRelation);
    }

    /// <summary>Shape and text of the statement without views; null when it cannot be had.</summary>
    /// <param name="session">The session.</param>
    /// <param name="shape">Of the text.</param>
    /// <param name="statement">The text.</param>
    /// <param name="literals">Becomes the new text's.</param>
    public static async ValueTask<(StatementShape Shape, byte[] Text)?> ExpandAsync(Session session, StatementShape shape, ReadOnlyMemory<byte> statement, LiteralList literals)
    {
        var table = session.Services.Holder.Current;
        byte[]? text = null;
        for (var depth = 0; depth < MaxDepth; depth++)
        {
            if (!CanExpand(session, shape, table))
            {
                return null;
            }

            text = new GatherText(text ?? statement, shape).WithTables(use => View(session, table, use) is { } view ? $"({view.Sql})" : null);
            if (text.Length > MaxBytes)
            {
                return null;
            }

            shape = await OwnValues.AnalyzeAsync(session, text, literals).ConfigureAwait(false);
            if (shape.Relations.All(r => View(session, table, r) is null))
            {
                return (shape, text);
            }
        }

        return null;
    }

    /// <summary>A bound statement names such a view, or is an EXECUTE of what runs on several nodes.</summary>
    public static bool Concerns(Session session, PreparedStatement statement) =>
        Concerns(session, statement.Shape) || (!statement.IsOfSql && ExecuteExpansion.Concerns(session, statement.Shape));

    /// <summary>Gives a portal the statement without views in the place of its own, if that can be had. False when the client has been told an error.</summary>
    public static async ValueTask<bool> GiveAsync(Session session, ServerPipeline pipeline, Portal portal)
    {
        // Its own Parse is answered first: whether the statement is right the server says.
        await pipeline.SettleParseAsync().ConfigureAwait(false);
        await pipeline.DrainAsync().ConfigureAwait(false);
        if (pipeline.SkipToSync || pipeline.SkipsToSync)
        {
            return false;
        }

        if (ExecuteExpansion.Concerns(session, portal.Statement.Shape) && await ExecuteExpansion.ExpandAsync(session, portal.Statement.Shape, portal.Statement.Text).ConfigureAwait(false) is { } executed)
        {
            if (executed.Query is not { } query)
            {
                pipeline.Skip();
                return false;
            }

            portal.Statement = await OwnValues.DeriveAsync(session, portal.Statement, query, [], isShared: false).ConfigureAwait(false);
        }

        portal.Statement = !Concerns(session, portal.Statement.Shape) ? portal.Statement : await DeriveAsync(session, portal.Statement).ConfigureAwait(false) ?? portal.Statement;
        return true;
    }

    private static async ValueTask<PreparedStatement?> DeriveAsync(Session session, PreparedStatement statement)
    {
        var version = session.Services.Holder.Current.PlacementVersion;
        if (statement.WithoutViews is { } derived && derived.PlacementVersion == version && CanExpand(session, statement.Shape, session.Services.Holder.Current))
        {
            return derived.Statement;
        }

        if (await ExpandAsync(session, statement.Shape, statement.Text, new LiteralList()).ConfigureAwait(false) is not { } expanded)
        {
            return null;
        }

        var made = await OwnValues.DeriveAsync(session, statement, expanded.Text, statement.TypeOids, isShared: statement.CanonicalId != 0).ConfigureAwait(false);
        statement.WithoutViews = (made, version);
        return made;
    }

    private static bool CanExpand(Session session, StatementShape shape, RoutingTable table)
    {
        // DDL of this very transaction is not known yet; under another role other rights hold.
        if (shape.Gather is not { HasLongNames: false, HasSystemColumns: false } || session.Transaction.ChangesSchema || session.Settings.ChangesUser)
        {
            return false;
        }

        foreach (var use in shape.Relations)
        {
            if (View(session, table, use) is { } view
                && (use.Role != RelationRole.Read || use.IsOnly || use.HasTableSample || !shape.Gather.Places.Any(p => p.Relation == use.Index)
                    || !view.Readers.Contains(session.Identity.User)))
            {
                return false;
            }
        }

        return true;
    }

    private static ViewDefinition? View(Session session, RoutingTable table, RelationUse use) =>
        use.Schema is null && !session.HasDefaultSearchPath ? null : table.Schema.FindView(new QualifiedName(use.Schema ?? RelationResolver.DefaultSchema, use.Name));
}
