using System.Globalization;
using System.Text;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>Fills the temporary tables of one gathering with the nodes' rows, within the limits of rows and bytes.</summary>
/// <param name="session">Who gets the error.</param>
/// <param name="sql">What is asked for, and where it goes.</param>
/// <param name="servers">By node id; each node works on its part at the same time.</param>
/// <param name="workspace">The server of the tables.</param>
internal sealed class GatherFill(Session session, GatherSql sql, IReadOnlyDictionary<int, ServerConnection> servers, ServerConnection workspace)
{
    private long _rows;
    private long _bytes;

    /// <summary>
    /// Gathers the rows. Afterwards the transaction only reads, and PostgreSQL knows what the tables hold. False when the error has been written.
    /// </summary>
    /// <exception cref="EndOfStreamException">A server was lost; it is marked broken.</exception>
    public async ValueTask<bool> RunAsync()
    {
        foreach (var source in sql.Sources)
        {
            var remote = source.Nodes.Select(n => servers[n.Id]).Where(s => s != workspace).ToList();
            foreach (var server in remote)
            {
                SideDialog.Send(server, Encoding.UTF8.GetBytes(GatherSql.CopyOut(source, server.Node)));
            }

            await Task.WhenAll(remote.Select(s => s.Output.FlushAsync().AsTask())).ConfigureAwait(false);
            if (!await FillOneAsync(source, remote).ConfigureAwait(false))
            {
                return false;
            }
        }

        return await SettleAsync().ConfigureAwait(false);
    }

    private async ValueTask<bool> FillOneAsync(GatherSource source, List<ServerConnection> remote)
    {
        var isFilled = true;
        if (source.Nodes.Any(n => servers[n.Id] == workspace))
        {
            var own = await SideDialog.RunAsync(workspace, GatherSql.InsertOwn(source, workspace.Node, session.Services.Options.GatherMaxRows - _rows + 1)).ConfigureAwait(false);
            isFilled = Passed(own);
            if (isFilled && long.TryParse(own.Tag.AsSpan(own.Tag.LastIndexOf(' ') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var rows))
            {
                _rows += rows;
            }
        }

        if (remote.Count == 0)
        {
            return isFilled && IsWithinLimits();
        }

        if (isFilled)
        {
            isFilled = Passed(await SideDialog.RunAsync(workspace, $"COPY {source.Target} FROM STDIN").ConfigureAwait(false));
        }

        var isCopying = isFilled;
        foreach (var server in remote)
        {
            var options = session.Services.Options;
            var part = await CopyTransfer.RunAsync(server, isFilled ? workspace : null, options.GatherMaxBytes - _bytes, options.GatherMaxRows - _rows).ConfigureAwait(false);
            _rows += part.Rows;
            _bytes += part.Bytes;
            if (isFilled && part.Error is not null)
            {
                session.Fail(part.Error);
                isFilled = false;
            }

            isFilled = isFilled && IsWithinLimits();
        }

        if (!isCopying)
        {
            return false;
        }

        if (isFilled)
        {
            MessageWriter.Empty(workspace.Output, FrontendTag.CopyDone);
        }
        else
        {
            MessageWriter.CString(workspace.Output, FrontendTag.CopyFail, "the statement was given up");
        }

        await workspace.Output.FlushAsync().ConfigureAwait(false);
        var result = await SideDialog.CollectAsync(workspace).ConfigureAwait(false);
        return isFilled && Passed(result);
    }

    private bool IsWithinLimits()
    {
        var options = session.Services.Options;
        if (_rows > options.GatherMaxRows)
        {
            session.Fail(ExecutionErrors.GatherTooLarge(string.Create(CultureInfo.InvariantCulture, $"{options.GatherMaxRows} rows")));
            return false;
        }

        if (_bytes > options.GatherMaxBytes)
        {
            session.Fail(ExecutionErrors.GatherTooLarge(string.Create(CultureInfo.InvariantCulture, $"{options.GatherMaxBytes >> 20} megabytes")));
            return false;
        }

        return true;
    }

    // Of few rows PostgreSQL knows enough. What looks into a table again and again, as subqueries may, needs the indexes that the real one has.
    private async ValueTask<bool> SettleAsync()
    {
        if (_rows > GatherSql.RowsWithoutStatistics)
        {
            var making = new StringBuilder();
            if (_rows > GatherSql.RowsWithoutIndexes && sql.FindIndexes is { } query)
            {
                var found = await SideDialog.RunAsync(workspace, query).ConfigureAwait(false);
                if (!Passed(found))
                {
                    return false;
                }

                foreach (var row in found.Rows)
                {
                    making.Append(Encoding.UTF8.GetString(row[0]!)).Append("; ");
                }
            }

            if (!Passed(await SideDialog.RunAsync(workspace, making.Append(sql.Analyze).ToString()).ConfigureAwait(false)))
            {
                return false;
            }
        }

        return Passed(await SideDialog.RunAsync(workspace, "SET TRANSACTION READ ONLY").ConfigureAwait(false));
    }

    private bool Passed(DialogResult result)
    {
        if (!result.IsOk)
        {
            session.Fail(result.ErrorPayload!);
        }

        return result.IsOk;
    }
}
