using System.Buffers;
using System.Globalization;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.DataPath.Types;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// COPY FROM STDIN over several nodes in one transaction: rows of a sharded table go to the node of their key, those of a replicated
/// table to every node. Memory is bounded by a buffer a node and the longest row.
/// </summary>
internal sealed class CopyExecutor
{
    private const int BatchBytes = 32 * 1024;

    // From this version on a line \. of csv data is a row like any other (PostgreSQL 18, release notes).
    private const int FirstWithoutCsvEndMark = 18;

    // PostgreSQL's own bound on a row in text form.
    private const int MaxRowBytes = 256 * 1024 * 1024;

    private readonly Session _session;
    private readonly Dictionary<int, Leg> _legs = [];
    private readonly List<Leg> _order = [];
    private CopyMoments? _moments;
    private bool _hasUnknownType;

    private CopyExecutor(Session session) => _session = session;

    /// <summary>Runs the COPY. Writes its reply, no ReadyForQuery.</summary>
    public static ValueTask RunAsync(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, ReadOnlyMemory<byte> sql) =>
        FanOutExecutor.InBlockAsync(session, plan, () => new CopyExecutor(session).RunAsync(plan, table, shape, sql));

    private async ValueTask<string?> RunAsync(RoutePlan plan, RoutingTable table, StatementShape shape, ReadOnlyMemory<byte> sql)
    {
        // The text is kept: the message buffer is reused by the data messages.
        var text = sql.ToArray();
        var types = shape.Copy!.Format == CopyFormat.Binary ? CopyFields.Types(shape.Copy, plan.Tables[0]) : [];
        if (plan.Kind == RouteKind.CopyReplicated
            && await _session.Services.ReplicatedWrites.PrepareAsync(_session, plan, table, shape, new NodeCommand(text, null)).ConfigureAwait(false) is null)
        {
            return null;
        }

        _moments = plan.Kind == RouteKind.CopySharded ? CopyMoments.Of(shape.Copy!, plan.Tables[0]) : null;
        text = _moments?.Text(text) ?? text;
        byte[]? response = null;
        foreach (var node in Nodes(plan, table))
        {
            var server = await SessionServers.GetAsync(_session, node).ConfigureAwait(false);
            if (_order.Count == 0 && _moments is not null && !await ComputeMomentsAsync(_moments, server).ConfigureAwait(false))
            {
                return null;
            }

            var patch = server.Types is { } numbers && types.Any(numbers.ToNode.IsDeep) ? new RowPatch(numbers.ToNode, [.. types.Select(t => numbers.ToNode.IsDeep(t) ? t : 0)]) : null;
            if (patch is not null && plan.Kind == RouteKind.CopyReplicated)
            {
                await AbandonAsync().ConfigureAwait(false);
                _session.Fail(RoutingErrors.BinaryCopyTypes);
                return null;
            }

            server.HasWritten = true;
            var begun = await SideDialog.OrLostAsync(SideDialog.RunAsync(server, text)).ConfigureAwait(false);
            if (begun is null || !begun.IsOk)
            {
                await AbandonAsync().ConfigureAwait(false);
                Fail(server, begun);
                return null;
            }

            response ??= begun.RowDescription;
            var leg = new Leg(server, SideDialog.CollectAsync(server).AsTask(), patch);
            _legs.Add(node.Id, leg);
            _order.Add(leg);
        }

        MessageWriter.Raw(_session.Output, BackendTag.CopyInResponse, _moments is null ? response : _moments.Response(response!));
        await _session.Relay.FlushClientAsync().ConfigureAwait(false);
        var splitter = plan.Kind == RouteKind.CopySharded ? Splitter(shape.Copy!, plan, table) : null;
        byte tag;
        ShardProxyError? error;
        try
        {
            (tag, error) = await PumpAsync(splitter).ConfigureAwait(false);
        }
        catch
        {
            // The client left in the middle: cutting the connections undoes every node's part.
            foreach (var leg in _order)
            {
                leg.Server.MarkBroken();
                leg.Server.Abort();
            }

            throw;
        }

        return await FinishAsync(plan, tag, error).ConfigureAwait(false);
    }

    private async ValueTask<bool> ComputeMomentsAsync(CopyMoments moments, ServerConnection server)
    {
        try
        {
            if (await moments.ComputeAsync(_session, server).ConfigureAwait(false) is { } error)
            {
                _session.Fail(error);
                return false;
            }

            return true;
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(_session, server, mayHaveWritten: false);
            return false;
        }
    }

    private ICopySplitter Splitter(CopySummary copy, RoutePlan plan, RoutingTable table)
    {
        var (target, group, home) = (plan.Tables[0], table.Group(plan.GroupId), table.HomeNode.Id);
        return copy.Format == CopyFormat.Binary
            ? new CopyBinarySplitter(copy, target, group, home)
            : new CopyTextSplitter(copy, target, group, _session.Relay.Told?.IsUtc == true, home, _order.TrueForAll(leg => leg.Server.MajorVersion < FirstWithoutCsvEndMark));
    }

    private static IEnumerable<Node> Nodes(RoutePlan plan, RoutingTable table)
    {
        var owners = plan.Kind == RouteKind.CopySharded ? table.Group(plan.GroupId).Ranges.Select(r => r.NodeId).ToHashSet() : null;
        return table.Nodes.Where(n => n.IsHome || owners is null || owners.Contains(n.Id)).OrderByDescending(n => n.IsHome).ThenBy(n => n.Id);
    }

    // Reads the client's data to its end whatever happens on the nodes: only then may an error be told.
    private async ValueTask<(byte Tag, ShardProxyError? Error)> PumpAsync(ICopySplitter? splitter)
    {
        ShardProxyError? error = null;
        var input = _session.Input;
        while (await input.ReadAsync(_session.Connection.Closed).ConfigureAwait(false))
        {
            switch (input.Tag)
            {
                case FrontendTag.CopyData when error is not null:
                    break;
                case FrontendTag.CopyData:
                    error = Take(splitter, input.Payload.Span);
                    await FlushFullAsync().ConfigureAwait(false);
                    break;
                case FrontendTag.CopyDone:
                    if (error is null && splitter is not null && !splitter.Finish(Distribute))
                    {
                        error = splitter.Refusal;
                    }

                    return (FrontendTag.CopyDone, error);
                case FrontendTag.CopyFail:
                    var reader = new PayloadReader(input.Payload.Span);
                    var reason = System.Text.Encoding.UTF8.GetString(reader.ReadCString());
                    return (FrontendTag.CopyFail, new ShardProxyError("57014", "SHP-406", $"COPY from stdin failed: {reason}"));
                case FrontendTag.Flush or FrontendTag.Sync:
                    break;
                case FrontendTag.Terminate:
                    throw new ClientGoneException();
                default:
                    throw new ProtocolException("08P01", $"unexpected message type 0x{input.Tag:X2} during COPY from stdin");
            }
        }

        throw new ClientGoneException();
    }

    private ShardProxyError? Take(ICopySplitter? splitter, ReadOnlySpan<byte> data)
    {
        if (splitter is null)
        {
            Distribute(0, data);
            return null;
        }

        if (!splitter.Add(data, Distribute))
        {
            return splitter.Refusal;
        }

        if (_hasUnknownType)
        {
            return RoutingErrors.TypeUnknown;
        }

        return splitter.PartialBytes > MaxRowBytes
            ? new ShardProxyError("54000", "SHP-407", "a row of COPY data is too long", "Check the line ends and quotes of the data.")
            : null;
    }

    private void Distribute(int nodeId, ReadOnlySpan<byte> row)
    {
        if (nodeId == 0)
        {
            row = _moments is null ? row : _moments.Header(row);
            foreach (var leg in _order)
            {
                leg.Pending.Write(row);
            }
        }
        else if (_legs[nodeId] is { Patch: { } patch } leg)
        {
            // The proxy's own fields come behind the client's, which are the ones to be translated.
            row = _moments is null ? row : _moments.Append(row);
            var copy = leg.Pending.GetSpan(row.Length)[..row.Length];
            row.CopyTo(copy);
            _hasUnknownType |= !patch.TryApply(copy);
            leg.Pending.Advance(row.Length);
        }
        else
        {
            _legs[nodeId].Pending.Write(_moments is null ? row : _moments.Append(row));
        }
    }

    private async ValueTask FlushFullAsync()
    {
        foreach (var leg in _order)
        {
            if (leg.Pending.WrittenCount >= BatchBytes)
            {
                await SendPendingAsync(leg).ConfigureAwait(false);
            }
        }
    }

    private static async ValueTask SendPendingAsync(Leg leg)
    {
        // A node that has failed already takes nothing more; its error is told at the end.
        if (leg.Pending.WrittenCount > 0 && !leg.Result.IsCompleted)
        {
            MessageWriter.Raw(leg.Server.Output, FrontendTag.CopyData, leg.Pending.WrittenSpan);
            await leg.Server.Output.FlushAsync().ConfigureAwait(false);
        }

        leg.Pending.ResetWrittenCount();
    }

    private async ValueTask<string?> FinishAsync(RoutePlan plan, byte tag, ShardProxyError? error)
    {
        foreach (var leg in _order)
        {
            if (error is null)
            {
                await SendPendingAsync(leg).ConfigureAwait(false);
                MessageWriter.Empty(leg.Server.Output, FrontendTag.CopyDone);
            }
            else
            {
                MessageWriter.CString(leg.Server.Output, FrontendTag.CopyFail, "the COPY was abandoned");
            }

            await leg.Server.Output.FlushAsync().ConfigureAwait(false);
        }

        long rows = 0;
        (ServerConnection Server, DialogResult? Result)? failed = null;
        foreach (var leg in _order)
        {
            var result = await EndAsync(leg).ConfigureAwait(false);
            if (result is not { IsOk: true })
            {
                failed ??= (leg.Server, result);
            }
            else if (long.TryParse(result.Tag.AsSpan(result.Tag.LastIndexOf(' ') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var count))
            {
                rows = plan.Kind == RouteKind.CopyReplicated ? count : rows + count;
            }
        }

        if (error is not null)
        {
            _session.Fail(error);
            return null;
        }

        if (failed is { } first)
        {
            Fail(first.Server, first.Result);
            return null;
        }

        return string.Create(CultureInfo.InvariantCulture, $"COPY {rows}");
    }

    private void Fail(ServerConnection server, DialogResult? result)
    {
        if (result?.ErrorPayload is { } payload)
        {
            _session.Fail(payload);
        }
        else
        {
            ServerLoss.Report(_session, server, mayHaveWritten: false);
        }
    }

    private async ValueTask AbandonAsync()
    {
        foreach (var leg in _order)
        {
            MessageWriter.CString(leg.Server.Output, FrontendTag.CopyFail, "the COPY was abandoned");
            await leg.Server.Output.FlushAsync().ConfigureAwait(false);
            await EndAsync(leg).ConfigureAwait(false);
        }
    }

    private static async ValueTask<DialogResult?> EndAsync(Leg leg)
    {
        try
        {
            return await leg.Result.ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            return null;
        }
    }

    private sealed record Leg(ServerConnection Server, Task<DialogResult> Result, RowPatch? Patch)
    {
        public ArrayBufferWriter<byte> Pending { get; } = new(BatchBytes * 2);
    }
}
