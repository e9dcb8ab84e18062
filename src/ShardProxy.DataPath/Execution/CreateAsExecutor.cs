using System.Buffers;
using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// CREATE TABLE … AS a SELECT over sharded tables, in one transaction. The home node makes the table from the statement itself, WITH NO DATA, so that names and
/// types are PostgreSQL's; then the query's rows are fetched, from the nodes that answer it or from what was gathered for it, and copied there.
/// </summary>
internal static class CreateAsExecutor
{
    private const string Exists = "42P07";

    /// <summary>Runs the statement. Writes its reply, no ReadyForQuery.</summary>
    public static ValueTask RunAsync(Session session, Dispatch dispatch, StatementShape shape, NodeCommand command) =>
        FanOutExecutor.InBlockAsync(session, dispatch.Plan, () => RunInBlockAsync(session, dispatch, shape, command));

    private static async ValueTask<string?> RunInBlockAsync(Session session, Dispatch dispatch, StatementShape shape, NodeCommand command)
    {
        var place = shape.Created!.In(command.Sql.Span);
        var query = command.Sql[place].ToArray();
        var (source, refusal) = await PullInsertQuery.SourceAsync(session, dispatch.Table, command, query).ConfigureAwait(false);
        if (source is null)
        {
            session.Fail(refusal!);
            return null;
        }

        var home = await SessionServers.GetAsync(session, dispatch.Table.HomeNode).ConfigureAwait(false);
        GatheredStatement? gathered = null;
        try
        {
            var read = await StatementCheck.RunAsync(home, query, command.Parameters?.TypeOids ?? []).ConfigureAwait(false);
            var exact = await SideDialog.RunAsync(home, $"SELECT {CopyLine.IsExactSql}").ConfigureAwait(false);
            if (!Passed(session, read) || !Passed(session, exact))
            {
                return null;
            }

            if (exact.Rows[0][0] is not [(byte)'t'])
            {
                session.Fail(ExecutionErrors.LossyText);
                return null;
            }

            command = command.Parameters is null ? command : command with { ParameterTypes = read.ParameterTypes };
            if (source.Gather is { } gather
                && (gathered = await GatherExecutor.KeepAsync(session, gather, dispatch.Table, source.Shape, command with { Sql = query }).ConfigureAwait(false)) is null)
            {
                return null;
            }

            home.HasWritten = true;
            byte[] create = [.. command.Sql.Span[..place.End], .. " WITH NO DATA"u8];
            var created = await SideDialog.RunAsync(home, command with { Sql = create }).ConfigureAwait(false);
            if (!Passed(session, created))
            {
                return null;
            }

            created.WriteNotices(session.Output);
            if (StateRules.After(shape) is not StateKinds.None and var kinds)
            {
                VariableExecutor.Suspect(session, home, kinds);
            }

            if (StateRules.Meant(shape) is not StateKinds.None and var meant)
            {
                session.Pin(home, meant);
            }

            if (created.Notices.Any(n => ErrorFields.Read(n).SqlState == Exists))
            {
                return created.Tag;
            }

            var servers = gathered is null ? await ServersAsync(session, dispatch, source).ConfigureAwait(false) : [gathered.Workspace];
            return await FillAsync(session, home, shape, servers, command, gathered?.Sql ?? query).ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            ServerLoss.Report(session, gathered?.Workspace is { IsBroken: true } lost ? lost : home, mayHaveWritten: false);
            return null;
        }
        finally
        {
            if (gathered is not null)
            {
                await gathered.EndAsync(session).ConfigureAwait(false);
            }
        }
    }

    private static async ValueTask<List<ServerConnection>> ServersAsync(Session session, Dispatch dispatch, PullSource source)
    {
        var servers = new List<ServerConnection>();
        foreach (var node in source.Nodes)
        {
            servers.Add(await SessionServers.GetAsync(session, dispatch.Table.Node(node)).ConfigureAwait(false));
        }

        return servers;
    }

    private static async ValueTask<string?> FillAsync(
        Session session, ServerConnection home, StatementShape shape, List<ServerConnection> servers, NodeCommand command, byte[] query)
    {
        var name = shape.Utility!.Names[0];
        var copy = $"COPY {(name.Schema is { } schema ? new QualifiedName(schema, name.Name).ToString() : SqlIdentifier.Quote(name.Name))} FROM STDIN";
        var count = 0L;
        var lines = new ArrayBufferWriter<byte>();
        var (isDone, error) = await PulledCursor.ReadAsync(session, servers, command with { Sql = query }, shape, async rows =>
        {
            lines.ResetWrittenCount();
            rows.ForEach(r => CopyLine.Write(lines, r));
            count += rows.Count;
            return rows.Count == 0 || Passed(session, await CopyLine.SendAsync(home, copy, lines.WrittenMemory).ConfigureAwait(false));
        }).ConfigureAwait(false);
        if (error is not null)
        {
            session.Fail(error);
        }

        if (!isDone)
        {
            return null;
        }

        return string.Create(CultureInfo.InvariantCulture, $"SELECT {count}");
    }

    private static bool Passed(Session session, DialogResult result)
    {
        if (!result.IsOk)
        {
            session.Fail(result.ErrorPayload!);
        }

        return result.IsOk;
    }
}
