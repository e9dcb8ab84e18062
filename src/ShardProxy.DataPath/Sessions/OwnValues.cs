using System.Buffers.Binary;
using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Statements that need values only the proxy has: keys an INSERT leaves to their default, and numbers drawn for such. They are put into the statement, and it
/// is routed and run as if the client had sent it so.
/// </summary>
internal static class OwnValues
{
    private const int MaxParameters = 65_535;

    /// <summary>The statement may be one: only then the others are called.</summary>
    public static bool MayConcern(Session session, StatementShape shape) =>
        shape.Insert is not null || !session.DrawnNumbers.IsEmpty || TransactionMoment.MayConcern(session, shape);

    /// <summary>A simple query's statement with its values.</summary>
    /// <param name="session">The session; its literals become the new text's.</param>
    /// <param name="shape">Of the text.</param>
    /// <param name="statement">The text.</param>
    /// <returns>Shape and text, which ends with a NUL; no text when it stays as it is; null when the client has been told an error.</returns>
    public static async ValueTask<(StatementShape Shape, byte[]? Terminated)?> OfSimpleAsync(Session session, StatementShape shape, ReadOnlyMemory<byte> statement)
    {
        var text = statement;
        await StatementDispatch.UntilPlacedAsync(session, shape).ConfigureAwait(false);
        if (Resolve(session, shape, text) is not { } resolved)
        {
            return null;
        }

        if (!resolved.Equals(text))
        {
            (shape, text) = (await AnalyzeAsync(session, resolved, session.Literals).ConfigureAwait(false), resolved);
        }

        if (DefaultKeyValues.PlanOf(session, shape) is { } plan)
        {
            if (await DefaultKeyValues.WithLiteralsAsync(session, plan, shape, new NodeCommand(text, null)).ConfigureAwait(false) is not { } made)
            {
                return null;
            }

            (shape, text) = (await AnalyzeAsync(session, made.Text, session.Literals).ConfigureAwait(false), made.Text);
            session.DrawnNumbers.Statement = shape;
        }

        if (TransactionMoment.MayConcern(session, shape))
        {
            if (await OrLostAsync(session, TransactionMoment.PutInAsync(session, shape, text, text, session.Literals, null)).ConfigureAwait(false) is not { } timed)
            {
                return null;
            }

            if (!timed.Equals(text))
            {
                (shape, text) = (await AnalyzeAsync(session, timed, session.Literals).ConfigureAwait(false), timed);
            }
        }

        return (shape, text.Equals(statement) ? null : [.. text.Span, 0]);
    }

    /// <summary>A bound statement needs values.</summary>
    public static bool Concerns(Session session, PreparedStatement statement) =>
        MayConcern(session, statement.Shape) && !session.IsTransparent && (DefaultKeyValues.PlanOf(session, statement.Shape) is not null
            || TransactionMoment.MayConcern(session, statement.Shape)
            || (!session.DrawnNumbers.IsEmpty && statement.Shape.Functions.Any(static f => f.Name is "currval" or "lastval" or "nextval" or "setval")));

    /// <summary>Gives a portal its values: another statement, and the parameters of that. False when the client has been told an error.</summary>
    public static async ValueTask<bool> GiveAsync(Session session, ServerPipeline pipeline, Portal portal)
    {
        // Its own Parse and whatever is before it is answered first.
        await pipeline.SettleParseAsync().ConfigureAwait(false);
        await pipeline.DrainAsync().ConfigureAwait(false);
        if (pipeline.SkipToSync || pipeline.SkipsToSync)
        {
            return false;
        }

        var errors = session.Errors;
        var isGiven = await GiveAsync(session, portal).ConfigureAwait(false) && await GiveMomentAsync(session, portal).ConfigureAwait(false);
        pipeline.SkipToSync |= session.Errors != errors;
        return isGiven;
    }

    private static async ValueTask<bool> GiveAsync(Session session, Portal portal)
    {
        var statement = portal.Statement;
        if (Resolve(session, statement.Shape, statement.Text) is not { } resolved)
        {
            return false;
        }

        if (!resolved.Equals(statement.Text))
        {
            portal.Statement = statement = await DeriveAsync(session, statement, resolved.ToArray(), statement.TypeOids, isShared: false).ConfigureAwait(false);
        }

        if (DefaultKeyValues.PlanOf(session, statement.Shape) is not { } plan)
        {
            return true;
        }

        var types = DefaultKeyValues.ParameterTypes(plan, statement.Shape.Insert!).ToList();
        if (statement.Shape.ParameterCount + types.Count > MaxParameters || plan.DefaultedKeys.Any(k => k.IsComputed))
        {
            if (await DefaultKeyValues.WithLiteralsAsync(session, plan, statement.Shape, new NodeCommand(statement.Text, portal.Parameters)).ConfigureAwait(false) is not { } made)
            {
                return false;
            }

            portal.Statement = await DeriveAsync(session, statement, made.Text, made.ParameterTypes is { Length: > 0 } own ? own : statement.TypeOids, isShared: false).ConfigureAwait(false);
            session.DrawnNumbers.Statement = portal.Statement.Shape;
            return true;
        }

        if (statement.Derived is not { } derived || derived.PlacementVersion != plan.PlacementVersion)
        {
            var declared = Enumerable.Range(0, statement.Shape.ParameterCount).Select(i => i < statement.TypeOids.Length ? statement.TypeOids[i] : 0);
            var withParameters = await DeriveAsync(
                session, statement, DefaultKeyValues.WithParameters(plan, statement.Shape, statement.Text), [.. declared, .. types], isShared: statement.CanonicalId != 0).ConfigureAwait(false);
            statement.Derived = derived = (withParameters, plan.PlacementVersion);
        }

        if (await DefaultKeyValues.ParametersAsync(session, plan, statement.Shape).ConfigureAwait(false) is not { } values)
        {
            return false;
        }

        portal.Parameters.Append(values, statement.Shape.ParameterCount, derived.Statement.TypeOids);
        portal.Statement = derived.Statement;
        session.DrawnNumbers.Statement = portal.Statement.Shape;
        return true;
    }

    private static async ValueTask<bool> GiveMomentAsync(Session session, Portal portal)
    {
        var statement = portal.Statement;
        if (!TransactionMoment.MayConcern(session, statement.Shape))
        {
            return true;
        }

        var put = TransactionMoment.PutInAsync(session, statement.Shape, statement.Text, statement.Prefix, statement.Literals, portal.Parameters);
        if (await OrLostAsync(session, put).ConfigureAwait(false) is not { } timed)
        {
            return false;
        }

        if (!timed.Equals(statement.Text))
        {
            portal.Statement = await DeriveAsync(session, statement, timed.ToArray(), statement.TypeOids, isShared: false).ConfigureAwait(false);
        }

        return true;
    }

    // The server that was asked for the moment may be lost.
    private static async ValueTask<ReadOnlyMemory<byte>?> OrLostAsync(Session session, ValueTask<ReadOnlyMemory<byte>?> asked)
    {
        try
        {
            return await asked.ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, session.Transaction.MomentSource!, mayHaveWritten: false);
            return null;
        }
    }

    private static ReadOnlyMemory<byte>? Resolve(Session session, StatementShape shape, ReadOnlyMemory<byte> statement)
    {
        if (session.DrawnNumbers.Resolve(shape, statement, session.Services.Holder.Current, session.HasDefaultSearchPath) is { } text)
        {
            return text;
        }

        session.Fail(SessionErrors.SequenceGone);
        return null;
    }

    internal static async ValueTask<StatementShape> AnalyzeAsync(Session session, ReadOnlyMemory<byte> text, LiteralList literals)
    {
        var scan = session.Services.Analyzer.Scan(text.Span, 0, literals);
        return scan.Error is { } error ? throw new Model.Errors.ShardProxyException(error)
            : scan.Shape ?? await session.Services.Analyzer.AnalyzeAsync(text[scan.Start..scan.End], session.Connection.Closed).ConfigureAwait(false);
    }

    internal static async ValueTask<PreparedStatement> DeriveAsync(Session session, PreparedStatement original, byte[] text, uint[] types, bool isShared)
    {
        var literals = new LiteralList();
        var shape = await AnalyzeAsync(session, text, literals).ConfigureAwait(false);
        var encoded = new byte[2 + (types.Length * 4)];
        BinaryPrimitives.WriteInt16BigEndian(encoded, (short)types.Length);
        for (var i = 0; i < types.Length; i++)
        {
            BinaryPrimitives.WriteUInt32BigEndian(encoded.AsSpan(2 + (i * 4)), types[i]);
        }

        return new PreparedStatement(
            original.Name, text, encoded, types, shape, literals, 0, text.Length, isShared ? session.Services.Canonical.IdOf(text, encoded, session.Settings.Meaning) : 0);
    }
}
