using System.Buffers;
using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// A SELECT whose answer needs rows of several nodes: each node's own rows, as far as the statement can need them, go into temporary tables on the home
/// node, and PostgreSQL runs the statement there on those. Outside a block that is done on the session's own server; in a block on a workspace beside
/// it, for a transaction that has touched temporary tables could not be committed in two phases. Everything is undone afterwards.
/// </summary>
internal sealed class GatherExecutor
{
    private const string StatementName = "shardproxy_gather";
    private const string FloatDigits = "extra_float_digits";
    private const string GroupingError = "42803";
    private const string LockTimeout = "55P03";

    // The session's own server has every table's lock already: a workspace beside its block waits only for what the block itself keeps from it, or has
    // somebody wait for. Without an end of its own that wait would have none.
    private const string BoundedWait = "SET LOCAL lock_timeout = '500ms'; ";

    private readonly Session _session;
    private readonly RoutingTable _table;
    private readonly NodeCommand _command;
    private readonly GatherSql _sql;
    private readonly bool _isKept;
    private readonly Dictionary<int, ServerConnection> _servers = [];
    private ServerConnection? _workspace;
    private byte[] _description = [];
    private uint[] _parameterTypes = [];
    private DialogResult? _refusal;

    private GatherExecutor(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, NodeCommand command, bool isKept = false)
    {
        _isKept = isKept;
        _session = session;
        _table = table;
        _command = command;
        _sql = new GatherSql(session, plan, table, shape, command.Sql);
    }

    private bool IsApart => _workspace is { Key.IsWorkspace: true };

    /// <summary>Runs the statement. Writes rows and tag, no ReadyForQuery; the RowDescription only when <paramref name="describesRows"/>.</summary>
    public static async ValueTask RunAsync(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, NodeCommand command, bool describesRows)
    {
        var gathering = new GatherExecutor(session, plan, table, shape, command);
        try
        {
            await gathering.RunAsync(describesRows).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, gathering.LostServer(), mayHaveWritten: false);
        }
        finally
        {
            await gathering.EndAsync().ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Gathers the statement's rows on a workspace that the caller keeps, and must end: with <see cref="GatheredStatement.EndAsync"/> or by giving it to the
    /// session's <see cref="OpenResults"/>. Null when the error has been written.
    /// </summary>
    public static async ValueTask<GatheredStatement?> KeepAsync(Session session, RoutePlan plan, RoutingTable table, StatementShape shape, NodeCommand command)
    {
        var gathering = new GatherExecutor(session, plan, table, shape, command, isKept: true);
        GatheredStatement? kept = null;
        try
        {
            if (await gathering.OpenAllAsync().ConfigureAwait(false) && await gathering.FillAsync().ConfigureAwait(false))
            {
                kept = new GatheredStatement(gathering._workspace!, StatementName, gathering._sql.Final);
                gathering._workspace = null;
            }
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, gathering.LostServer(), mayHaveWritten: false);
        }
        finally
        {
            await gathering.EndAsync().ConfigureAwait(false);
        }

        return kept;
    }

    /// <summary>Opens the tables for a statement's rows, fills them if asked to, and has it told what would be run where. False when the error has been written.</summary>
    public static async ValueTask<bool> ExplainAsync(
        Session session, RoutePlan plan, RoutingTable table, StatementShape shape, NodeCommand command, bool fills, Func<GatheredPlan, ValueTask<bool>> tell)
    {
        var gathering = new GatherExecutor(session, plan, table, shape, command);
        try
        {
            if (!await gathering.OpenAllAsync().ConfigureAwait(false) || (fills && !await gathering.FillAsync().ConfigureAwait(false)))
            {
                return false;
            }

            var sql = gathering._sql;
            return await tell(new GatheredPlan(
                gathering._workspace!,
                sql.IsPartial,
                sql.Final,
                [.. sql.Sources.SelectMany(s => s.Nodes.Select(n => (gathering._servers[n.Id], s.Target["pg_temp.".Length..], s.Select(n))))])).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, gathering.LostServer(), mayHaveWritten: false);
            return false;
        }
        finally
        {
            await gathering.EndAsync().ConfigureAwait(false);
        }
    }

    private ServerConnection LostServer() => _servers.Values.Append(_workspace).OfType<ServerConnection>().FirstOrDefault(s => s.IsBroken) ?? _servers.Values.First();

    private async ValueTask RunAsync(bool describesRows)
    {
        if (await OpenAllAsync().ConfigureAwait(false) && await FillAsync().ConfigureAwait(false))
        {
            await FinishAsync(describesRows).ConfigureAwait(false);
        }
    }

    private async ValueTask<bool> OpenAllAsync()
    {
        var inBlock = _session.Transaction.State != BlockState.Idle;
        foreach (var node in _sql.Nodes(inBlock))
        {
            _servers[node.Id] = await SessionServers.GetAsync(_session, node).ConfigureAwait(false);
        }

        var home = _servers[_table.HomeNode.Id];
        if (!await AnalyzeAsync(home).ConfigureAwait(false))
        {
            return false;
        }

        if (!WritesValuesExactly(home))
        {
            _session.Fail(ExecutionErrors.GatherInexact);
            return false;
        }

        string? time = null;
        if (inBlock && _sql.HasTime)
        {
            if (_sql.HasOtherTime)
            {
                _session.Fail(ExecutionErrors.GatherTime);
                return false;
            }

            (time, var error) = await TransactionMoment.OfAsync(_session, home).ConfigureAwait(false);
            if (time is null)
            {
                _session.Fail(error!);
                return false;
            }
        }

        if (inBlock && _session.Transaction.SettingsSource is not null)
        {
            _session.Fail(SessionErrors.SettingsNotSpread);
            return false;
        }

        // Apart from the session's own transaction everything is gathered that only its own servers see: temporary tables, what the block has written.
        var isApart = inBlock || _isKept;
        _workspace = isApart || _sql.MayBePartial ? await SessionServers.GetWorkspaceAsync(_session, _table.HomeNode).ConfigureAwait(false) : home;
        if (_sql.MayBePartial)
        {
            await TryPartAsync(_workspace).ConfigureAwait(false);
        }

        _sql.Plan(isApart, _command.Parameters, _parameterTypes, time);
        if (_sql.IsPartial && !await TryOpenAsync(asTables: false).ConfigureAwait(false))
        {
            // The parts do not make up what was asked for: their rows will.
            await CloseAsync(_workspace).ConfigureAwait(false);
            _sql.Combine(null);
            _sql.Plan(isApart, _command.Parameters, _parameterTypes, time);
        }

        return _sql.IsPartial || await OpenAsync().ConfigureAwait(false);
    }

    // Rows go from node to node as text: other date styles name time zones by ambiguous abbreviations, and floats may lose digits.
    private bool WritesValuesExactly(ServerConnection home) =>
        home.Parameters["DateStyle"]?.StartsWith("ISO", StringComparison.Ordinal) != false
        && (_session.Settings[FloatDigits] is not { } digits || (int.TryParse(digits.Text.Trim('\''), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var count) && count > 0))
        && !_session.Transaction.SettingsSql.Contains(FloatDigits, StringComparison.OrdinalIgnoreCase);

    // The home node has every table: what it says of the statement as it is, is what one PostgreSQL would say.
    private async ValueTask<bool> AnalyzeAsync(ServerConnection home)
    {
        var result = await StatementCheck.RunAsync(home, _command.Sql, Types).ConfigureAwait(false);
        if (!Passed(result))
        {
            return false;
        }

        if (_command.Parameters is null && result.ParameterTypes.Length > 0)
        {
            _session.Fail("42P02", "there is no parameter $1");
            return false;
        }

        _description = result.RowDescription ?? [];
        _parameterTypes = result.ParameterTypes;
        return true;
    }

    // Each node's part of the answer instead of its rows, where that can be combined. The workspace is apart then: the home node's part is computed as the
    // others' are, beside them and by parallel workers.
    private async ValueTask TryPartAsync(ServerConnection workspace)
    {
        if (_sql.TryPart(_command.Parameters, _parameterTypes, RowShape.Types(_description).Length) is not { } part)
        {
            return;
        }

        var isBeside = _session.Transaction.State != BlockState.Idle;
        if (isBeside)
        {
            await SideDialog.RunAsync(workspace, "BEGIN; " + BoundedWait).ConfigureAwait(false);
        }

        var result = await StatementCheck.RunAsync(workspace, Encoding.UTF8.GetBytes(part), Types).ConfigureAwait(false);
        if (isBeside)
        {
            await SideDialog.RunAsync(workspace, "ROLLBACK").ConfigureAwait(false);
        }

        _sql.Combine(result.IsOk ? RowShape.Types(result.RowDescription) : null);
    }

    // The tables, and the statement on them: if PostgreSQL reads it otherwise than on the real ones, it is refused.
    private async ValueTask<bool> OpenAsync()
    {
        if (await TryOpenAsync(asTables: false).ConfigureAwait(false))
        {
            return true;
        }

        if (_refusal?.Error?.SqlState == GroupingError)
        {
            // GROUP BY a primary key lets other columns be named: the tables need the key too.
            await CloseAsync(_workspace!).ConfigureAwait(false);
            if (await TryOpenAsync(asTables: true).ConfigureAwait(false))
            {
                return true;
            }
        }

        if (_refusal?.Error?.SqlState == LockTimeout && _session.Transaction.State != BlockState.Idle)
        {
            _session.Fail(ExecutionErrors.GatherLocked);
        }
        else if (_refusal is { Error.SqlState: var state } refusal && (state[..2] != "42" || state == "42501"))
        {
            _session.Fail(refusal.ErrorPayload!);
        }
        else
        {
            _session.Fail(ExecutionErrors.GatherRefused);
        }

        return false;
    }

    private async ValueTask<bool> TryOpenAsync(bool asTables)
    {
        var workspace = _workspace!;
        SideDialog.Send(workspace, Encoding.UTF8.GetBytes("BEGIN READ WRITE; " + (_session.Transaction.State != BlockState.Idle ? BoundedWait : "") + (IsApart ? _session.Transaction.SettingsSql : "") + _sql.CreateTables(asTables)));
        MessageWriter.Parse(workspace.Output, Encoding.ASCII.GetBytes(StatementName), _sql.Final, Types.AsSpan());
        MessageWriter.Target(workspace.Output, FrontendTag.Describe, (byte)'S', Encoding.ASCII.GetBytes(StatementName));
        MessageWriter.Empty(workspace.Output, FrontendTag.Sync);
        workspace.Owed.Enqueue(ReplyKind.Sync, isHidden: true);
        await workspace.Output.FlushAsync().ConfigureAwait(false);
        var result = await SideDialog.CollectAsync(workspace).ConfigureAwait(false);
        _refusal = result.IsOk ? null : result;
        return result.IsOk && RowShape.SameTypes(result.RowDescription ?? [], _description);
    }

    private ValueTask<bool> FillAsync() => new GatherFill(_session, _sql, _servers, _workspace!).RunAsync();

    private async ValueTask FinishAsync(bool describesRows)
    {
        var workspace = _workspace!;
        if (describesRows)
        {
            MessageWriter.Raw(_session.Output, BackendTag.RowDescription, _description);
        }

        var body = _command.Parameters is { } parameters ? parameters.Payload[parameters.BodyOffset..] : [0, 0, 0, 0, 0, 0];
        MessageWriter.Header(workspace.Output, FrontendTag.Bind, 1 + StatementName.Length + 1 + body.Length);
        MessageWriter.Text(workspace.Output, ""u8);
        MessageWriter.Text(workspace.Output, StatementName);
        workspace.Output.Write(body);
        MessageWriter.Header(workspace.Output, FrontendTag.Execute, 5);
        MessageWriter.Text(workspace.Output, ""u8);
        MessageWriter.Int32(workspace.Output, 0);
        MessageWriter.Empty(workspace.Output, FrontendTag.Sync);
        workspace.Owed.Enqueue(ReplyKind.Bind, isHidden: true);
        workspace.Owed.Enqueue(ReplyKind.Execute, isHidden: false);
        workspace.Owed.Enqueue(ReplyKind.Sync, isHidden: true);
        var relay = _session.Relay;
        await relay.FlushServerAsync(workspace).ConfigureAwait(false);
        if (await relay.RelayAsync(workspace).ConfigureAwait(false) == RelayStop.ServerLost)
        {
            throw new EndOfStreamException("the server was lost");
        }

        if (relay.Error is not null)
        {
            _session.NoteServerError();
        }
    }

    // Whatever has happened: nothing is left on the server, or the server goes.
    private async ValueTask EndAsync()
    {
        if (_workspace is { IsBroken: false } workspace)
        {
            try
            {
                if (workspace.Owed.Count == 0)
                {
                    await CloseAsync(workspace).ConfigureAwait(false);
                }
                else
                {
                    workspace.MarkBroken();
                }
            }
            catch (EndOfStreamException)
            {
                // What was to be undone went with it.
            }
        }

        foreach (var server in _servers.Values)
        {
            if (server.Owed.Count > 0)
            {
                // It would go on sending rows that nobody wants.
                server.MarkBroken();
            }
        }

        // One that was lost has been given back already.
        if (IsApart && _session.HeldServers().Contains(_workspace))
        {
            SessionServers.Return(_session, _workspace!);
        }
    }

    internal static async ValueTask CloseAsync(ServerConnection workspace)
    {
        SideDialog.Send(workspace, "ROLLBACK"u8);
        MessageWriter.Target(workspace.Output, FrontendTag.Close, (byte)'S', Encoding.ASCII.GetBytes(StatementName));
        MessageWriter.Empty(workspace.Output, FrontendTag.Sync);
        workspace.Owed.Enqueue(ReplyKind.Sync, isHidden: true);
        await workspace.Output.FlushAsync().ConfigureAwait(false);
        await SideDialog.CollectAsync(workspace).ConfigureAwait(false);
    }

    private uint[] Types => _command.Parameters is not { } parameters ? [] : _parameterTypes.Length > 0 ? _parameterTypes : _command.ParameterTypes ?? parameters.TypeOids;

    private bool Passed(DialogResult result)
    {
        if (!result.IsOk)
        {
            _session.Fail(result.ErrorPayload!);
        }

        return result.IsOk;
    }
}
