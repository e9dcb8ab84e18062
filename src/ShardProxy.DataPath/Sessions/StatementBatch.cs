using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Errors;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// A query string with several statements. It goes to one node as it is, so that PostgreSQL's own rules for such strings hold; where its
/// statements belong to different nodes they run one after another, in one transaction, as they do there.
/// </summary>
/// <param name="session">The session.</param>
/// <param name="runOne">Runs one statement, given its shape, its text behind the place where it begins, ended by a NUL, and that place. Writes its reply, no ReadyForQuery.</param>
internal sealed class StatementBatch(Session session, Func<StatementShape, ReadOnlyMemory<byte>, int, ValueTask> runOne)
{
    private const int MaxPaddingBytes = 64 * 1024;

    /// <summary>True when another statement follows, not only white space and semicolons.</summary>
    public static bool HasMore(Session session, ReadOnlyMemory<byte> text, int from)
    {
        // Literals of the first statement stay in the session's list when nothing follows: a list of its own is used here.
        var literals = new LiteralList();
        while (from < text.Length)
        {
            var scan = session.Services.Analyzer.Scan(text.Span, from, literals);
            if (scan.Outcome != ScanOutcome.Empty)
            {
                return true;
            }

            if (scan.Next <= from)
            {
                return false;
            }

            from = scan.Next;
        }

        return false;
    }

    /// <summary>Runs the whole string; true when ReadyForQuery has been forwarded.</summary>
    public async ValueTask<bool> RunAsync(ReadOnlyMemory<byte> payload)
    {
        var text = payload[..^1];
        var statements = new List<Part>();
        for (var from = 0; from < text.Length;)
        {
            var literals = new LiteralList();
            var scan = session.Services.Analyzer.Scan(text.Span, from, literals);
            if (scan.Outcome == ScanOutcome.Refused && session.IsTransparent)
            {
                return await SendAsync([new Part(StatementShape.Unread, literals, 0, text.Length)], text, payload).ConfigureAwait(false);
            }

            if (scan.Outcome == ScanOutcome.Refused)
            {
                session.Fail(scan.Error!);
                return false;
            }

            if (scan.Outcome != ScanOutcome.Empty)
            {
                var shape = scan.Shape ?? await session.Services.Analyzer.AnalyzeAsync(text[scan.Start..scan.End], session.Connection.Closed).ConfigureAwait(false);
                statements.Add(new Part(shape, literals, scan.Start, scan.End));
            }

            if (scan.Next <= from)
            {
                break;
            }

            from = scan.Next;
        }

        var isTransparent = session.IsTransparent;
        if (!isTransparent && session.Transaction.State == BlockState.Failed && !SessionTransaction.LeavesFailedBlock(statements[0].Shape))
        {
            session.Fail("25P02", "current transaction is aborted, commands ignored until end of transaction block");
            return false;
        }

        try
        {
            if (isTransparent)
            {
                return await SendAsync(statements, text, payload).ConfigureAwait(false);
            }

            if (session.Transaction.State != BlockState.Idle || IsBegin(statements[0].Shape))
            {
                await RunPartsAsync(statements, text).ConfigureAwait(false);
                return false;
            }

            if (statements.Exists(s => s.Shape.Variable is { } v && VariableExecutor.IsRefused(v)))
            {
                session.Fail(ExecutionErrors.ConformingStrings);
                return false;
            }

            if (statements.Any(s => s.Shape.Transaction is { } t && (t.HasOptions || t.Verb is TransactionVerb.Savepoint or TransactionVerb.ReleaseSavepoint or TransactionVerb.RollbackToSavepoint)))
            {
                session.Fail(RoutingErrors.MultiStatement);
                return false;
            }

            return await SendAsync(statements, text, payload).ConfigureAwait(false);
        }
        finally
        {
            session.Activity.EndStatement(session.Transaction.State == BlockState.Idle);
        }
    }

    private static bool IsBegin(StatementShape shape) => shape.Transaction is { Verb: TransactionVerb.Begin or TransactionVerb.StartTransaction };

    // In a block the proxy carries out BEGIN, COMMIT, savepoints and SET itself; what stands between them goes to one node in one piece. As in
    // PostgreSQL, an error ends the whole string.
    private async ValueTask RunPartsAsync(List<Part> statements, ReadOnlyMemory<byte> text)
    {
        session.Relay.ForwardsReady = false;
        text = text.ToArray(); // COPY data would take its place
        for (var i = 0; i < statements.Count;)
        {
            var errors = session.Errors;
            var shape = statements[i].Shape;
            if (shape.Transaction is { } command)
            {
                await TransactionExecutor.RunAsync(session, command).ConfigureAwait(false);
                if (session.Transaction.State == BlockState.Idle || command.Chain)
                {
                    session.Activity.EndStatement(transactionEnded: true);
                }

                i++;
            }
            else if (session.Transaction.State == BlockState.Idle && !IsWhole(statements, i))
            {
                session.Fail(RoutingErrors.MultiStatement);
            }
            else if (SessionCommands.Handles(shape))
            {
                await SessionCommands.RunAsync(session, shape, text[statements[i].Start..statements[i].End]).ConfigureAwait(false);
                i++;
            }
            else
            {
                var end = i;
                while (end < statements.Count && statements[end].Shape.Transaction is null && !SessionCommands.Handles(statements[end].Shape))
                {
                    end++;
                }

                await SendAsync(statements[i..end], text, Piece(text.Span, statements[i].Start, statements[end - 1].End)).ConfigureAwait(false);
                i = end;
            }

            if (session.Errors != errors || session.Relay.Error is not null)
            {
                return;
            }
        }
    }

    // Behind the end of its block the rest of a string is one implicit transaction (PostgreSQL documentation, "Multiple Statements in a Simple
    // Query"): a later error undoes it, a BEGIN makes it part of a block. True when what begins here is carried out as such: in one piece, with
    // nothing behind it but the end of the string or COMMIT, or without anything to undo.
    private static bool IsWhole(List<Part> statements, int from)
    {
        var end = statements.FindIndex(from, static s => s.Shape.Transaction is not null);
        var isLast = end < 0 || statements[end].Shape.Transaction is { Verb: TransactionVerb.Commit };
        var part = statements[from..(end < 0 ? statements.Count : end)];
        var sets = part.Exists(static s => SessionCommands.Handles(s.Shape));
        return !(sets && part.Count > 1) && (isLast || !(sets || part.Exists(static s => SimpleQuery.MayWrite(s.Shape))));
    }

    // Spaces stand for what is left out in front, so that positions in errors count from the start of the client's text.
    private static byte[] Piece(ReadOnlySpan<byte> text, int start, int end)
    {
        var padding = 0;
        if (start <= MaxPaddingBytes)
        {
            foreach (var b in text[..start])
            {
                padding += (b & 0xC0) == 0x80 ? 0 : 1;
            }
        }

        var piece = new byte[padding + end - start + 1];
        piece.AsSpan(0, padding).Fill((byte)' ');
        text[start..end].CopyTo(piece.AsSpan(padding));
        return piece;
    }

    // One after another, in the client's block or in one of their own that is committed behind the last: an error undoes them all.
    private async ValueTask<bool> RunSeparatelyAsync(List<Part> statements, ReadOnlyMemory<byte> text)
    {
        var isImplicit = session.Transaction.State == BlockState.Idle;
        session.Activity.EndStatement(isImplicit);
        if (statements.Exists(s => s.Shape.Transaction is not null || s.Shape.ForbidsTransactionBlock || s.Shape.Kind == StatementKind.Copy || CursorNodes.Concerns(s.Shape)))
        {
            session.Fail(RoutingErrors.MultiStatement);
            return false;
        }

        text = text.ToArray(); // a reply may take its place
        if (isImplicit)
        {
            ImplicitBlock.Begin(session);
        }

        var errors = session.Errors;
        try
        {
            foreach (var (shape, _, start, end) in statements)
            {
                var piece = Piece(text.Span, start, end);
                await runOne(shape, piece, piece.Length - 1 - (end - start)).ConfigureAwait(false);
                if (session.Errors != errors || session.Relay.Error is not null)
                {
                    break;
                }
            }
        }
        catch when (isImplicit)
        {
            await TransactionExecutor.RollbackBlockAsync(session).ConfigureAwait(false);
            throw;
        }

        if (isImplicit && (session.Errors != errors || session.Relay.Error is not null))
        {
            await TransactionExecutor.RollbackBlockAsync(session).ConfigureAwait(false);
        }
        else if (isImplicit)
        {
            await TransactionExecutor.CommitBlockAsync(session).ConfigureAwait(false);
        }

        return false;
    }

    // Sends statements that belong to one node as they are; true when ReadyForQuery has been forwarded.
    private async ValueTask<bool> SendAsync(List<Part> statements, ReadOnlyMemory<byte> text, ReadOnlyMemory<byte> payload)
    {
        var started = session.Services.Time.GetTimestamp();
        Dispatch? last = null;
        var changesSchema = false;

        foreach (var (shape, literals, _, end) in statements)
        {
            if (shape.Transaction is not null || SessionCommands.Handles(shape))
            {
                continue;
            }

            var dispatch = await StatementDispatch.DispatchAsync(session, shape, text[..end], literals, null).ConfigureAwait(false);
            if (dispatch.Plan.Kind == RouteKind.DefaultKeys || TransactionMoment.MayConcern(session, shape))
            {
                return await RunSeparatelyAsync(statements, text).ConfigureAwait(false);
            }

            if (dispatch.Error is not null)
            {
                session.Fail(dispatch.Error);
                return false;
            }

            if (CursorNodes.Concerns(shape))
            {
                // After a DECLARE of the same string it goes where that goes.
                dispatch = dispatch with { NodeId = last?.NodeId ?? session.NodeFor(shape, dispatch.Table.Node(dispatch.NodeId)).Id };
            }

            if (dispatch.Plan.Kind is not (RouteKind.Home or RouteKind.AnyNode or RouteKind.ByKey) || (last is { } before && before.NodeId != dispatch.NodeId))
            {
                return await RunSeparatelyAsync(statements, text).ConfigureAwait(false);
            }

            changesSchema |= dispatch.Plan.ChangesSchema;
            last = dispatch;
        }

        var table = session.Services.Holder.Current;
        var node = last is { } route ? route.Table.Node(route.NodeId) : table.HomeNode;
        statements.ForEach(s => SequenceTruth.BeforeLease(session, node, s.Shape));
        var server = await SessionServers.GetAsync(session, node).ConfigureAwait(false);
        foreach (var (shape, _, _, _) in statements)
        {
            if (!SequenceTruth.AfterLease(session, server, shape))
            {
                session.Fail(SessionErrors.SequenceGone);
                return false;
            }
        }

        foreach (var (shape, _, _, _) in statements)
        {
            if (shape.Prepared is not null && !await StatementNames.LendAsync(session, server, shape).ConfigureAwait(false))
            {
                return false;
            }

            if (CursorNodes.IsCloseAll(shape))
            {
                await CursorNodes.CloseElsewhereAsync(session, server).ConfigureAwait(false);
            }
        }

        var mayWrite = statements.Any(s => SimpleQuery.MayWrite(s.Shape));
        foreach (var statement in statements)
        {
            SessionEnd.Note(session, statement.Shape);
        }

        session.Relay.ForwardsReady &= !statements.Exists(s => s.Shape.Kind == StatementKind.SetVariable || SimpleQuery.LeavesState(session, s.Shape, text.Span));
        var sent = session.Services.Time.GetTimestamp();
        var outcome = await SingleNodeExecutor.RunAsync(session, server, payload, mayWrite).ConfigureAwait(false);
        if (outcome != SingleOutcome.Answered)
        {
            return false;
        }

        var plan = (last?.Plan ?? RoutePlanner.Simple(table, RouteKind.Home, mayWrite)) with { ChangesSchema = changesSchema };
        foreach (var (shape, _, _, _) in statements)
        {
            changesSchema |= SimpleQuery.AfterAnswer(session, shape, default, server, plan);
        }

        StatementAccounting.Account(session, statements[0].Shape, last ?? new Dispatch(plan, table, node.Id, null, null), node, started, sent);
        if (changesSchema && session.Relay.Error is null)
        {
            await SimpleQuery.SchemaChangedAsync(session).ConfigureAwait(false);
        }

        return session.Relay.ForwardsReady;
    }

    private sealed record Part(StatementShape Shape, LiteralList Literals, int Start, int End);
}
