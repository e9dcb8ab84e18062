using System.IO.Pipelines;
using System.Text;
using ShardProxy.DataPath.Login;
using ShardProxy.Model.Console;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;
using ShardProxy.Wire.Transport;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// The wire side of the console (dbname=shardproxy): simple queries, and prepared statements without parameters, for drivers that
/// know nothing else. Values are text.
/// </summary>
internal sealed class ConsoleSession(DataPathServices services, ITransportConnection connection, ClientIdentity identity)
{
    // Statements and portals of one client: drivers have a handful.
    private const int MaxKept = 100;

    private readonly Dictionary<string, string> _statements = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ConsoleReply> _portals = new(StringComparer.Ordinal);
    private bool _skipToSync;

    private PipeWriter Output => connection.Output;

    /// <summary>Serves the client until it leaves.</summary>
    public async Task RunAsync()
    {
        var input = new MessageReader(connection.Input, services.Options.MaxLoginMessageBytes);
        while (await input.ReadAsync(connection.Closed).ConfigureAwait(false))
        {
            if (_skipToSync && input.Tag != FrontendTag.Sync)
            {
                continue;
            }

            switch (input.Tag)
            {
                case FrontendTag.Query:
                    await QueryAsync(Text(input.Payload.Span)).ConfigureAwait(false);
                    break;
                case FrontendTag.Terminate:
                    return;
                case FrontendTag.Sync:
                    _skipToSync = false;
                    MessageWriter.ReadyForQuery(Output, (byte)'I');
                    break;
                case FrontendTag.Flush:
                    break;
                default:
                    await ExtendedAsync(input.Tag, input.Payload).ConfigureAwait(false);
                    break;
            }

            await Output.FlushAsync(connection.Closed).ConfigureAwait(false);
        }
    }

    private ValueTask<ConsoleReply> ExecuteAsync(string statement) => identity.ConsoleRole == ConsoleRole.Admin
        ? services.Console.ExecuteAsync(statement, identity.User, connection.Closed)
        : services.Console.ExecuteReadOnlyAsync(statement, identity.User, connection.Closed);

    private async ValueTask QueryAsync(string text)
    {
        var any = false;
        foreach (var statement in SplitStatements(text))
        {
            any = true;
            var reply = await ExecuteAsync(statement).ConfigureAwait(false);
            if (!WriteReply(reply, describes: true))
            {
                break;
            }
        }

        if (!any)
        {
            MessageWriter.Empty(Output, BackendTag.EmptyQueryResponse);
        }

        MessageWriter.ReadyForQuery(Output, (byte)'I');
    }

    private async ValueTask ExtendedAsync(byte tag, ReadOnlyMemory<byte> payload)
    {
        switch (tag)
        {
            case FrontendTag.Parse:
                var (name, sql) = ReadParse(payload.Span);
                if (!MayKeep(_statements, name))
                {
                    break;
                }

                _statements[name] = sql;
                MessageWriter.Empty(Output, BackendTag.ParseComplete);
                break;
            case FrontendTag.Bind:
                await BindAsync(payload).ConfigureAwait(false);
                break;
            case FrontendTag.Describe:
                await DescribeAsync(payload).ConfigureAwait(false);
                break;
            case FrontendTag.Execute:
                if (_portals.TryGetValue(ReadName(payload.Span), out var reply))
                {
                    _skipToSync = !WriteReply(reply, describes: false);
                }

                break;
            case FrontendTag.Close:
                Forget(payload.Span);
                MessageWriter.Empty(Output, BackendTag.CloseComplete);
                break;
            default:
                throw new ProtocolException("08P01", $"invalid frontend message type {tag}");
        }
    }

    private async ValueTask BindAsync(ReadOnlyMemory<byte> payload)
    {
        var (portal, statement, parameters) = ReadBind(payload.Span);
        if (parameters > 0 || !_statements.TryGetValue(statement, out var sql))
        {
            ClientReplies.Error(Output, SessionErrors.ConsoleExtended);
            _skipToSync = true;
            return;
        }

        if (!MayKeep(_portals, portal))
        {
            return;
        }

        // Run here, so that Describe knows the columns; Execute hands the rows out.
        var first = SplitStatements(sql).FirstOrDefault() ?? "";
        _portals[portal] = await ExecuteAsync(first).ConfigureAwait(false);
        MessageWriter.Empty(Output, BackendTag.BindComplete);
    }

    private bool MayKeep<T>(Dictionary<string, T> kept, string name)
    {
        if (kept.Count < MaxKept || kept.ContainsKey(name))
        {
            return true;
        }

        ClientReplies.Error(Output, SessionErrors.TooManyStatements);
        _skipToSync = true;
        return false;
    }

    // 'S' or 'P' and a name; what does not exist may be closed too.
    private void Forget(ReadOnlySpan<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var kind = reader.ReadBytes(1)[0];
        var name = Encoding.UTF8.GetString(reader.ReadCString());
        if (kind == (byte)'S')
        {
            _statements.Remove(name);
        }
        else
        {
            _portals.Remove(name);
        }
    }

    private async ValueTask DescribeAsync(ReadOnlyMemory<byte> payload)
    {
        var kind = payload.Span[0];
        var name = ReadName(payload.Span[1..]);
        if (kind == (byte)'S')
        {
            MessageWriter.Header(Output, BackendTag.ParameterDescription, 2);
            MessageWriter.Int16(Output, 0);
            var sql = _statements.GetValueOrDefault(name, "");

            // Only statements that read may be run to learn their columns.
            var reads = sql.TrimStart().StartsWith("SHOW", StringComparison.OrdinalIgnoreCase) || sql.TrimStart().StartsWith("SELECT", StringComparison.OrdinalIgnoreCase)
                || sql.TrimStart().StartsWith("EXPLAIN", StringComparison.OrdinalIgnoreCase);
            var reply = reads ? await ExecuteAsync(SplitStatements(sql).First()).ConfigureAwait(false) : ConsoleReply.Done("");
            WriteDescription(reply);
        }
        else
        {
            WriteDescription(_portals.GetValueOrDefault(name, ConsoleReply.Done("")));
        }
    }

    private bool WriteReply(ConsoleReply reply, bool describes)
    {
        foreach (var notice in reply.Notices)
        {
            ClientReplies.Notice(Output, "00000", notice);
        }

        if (reply.Error is not null)
        {
            ClientReplies.Error(Output, reply.Error);
            return false;
        }

        if (describes && !reply.Columns.IsEmpty)
        {
            WriteDescription(reply);
        }

        foreach (var row in reply.Rows)
        {
            Execution.RowWriter.Write(Output, [.. row.Select(v => v is null ? null : Encoding.UTF8.GetBytes(v))]);
        }

        MessageWriter.CString(Output, BackendTag.CommandComplete, reply.CommandTag);
        return true;
    }

    private void WriteDescription(ConsoleReply reply)
    {
        if (reply.Columns.IsEmpty)
        {
            MessageWriter.Empty(Output, BackendTag.NoData);
            return;
        }

        MessageWriter.Header(Output, BackendTag.RowDescription, 2 + reply.Columns.Sum(c => Encoding.UTF8.GetByteCount(c.Name) + 1 + 18));
        MessageWriter.Int16(Output, (short)reply.Columns.Length);
        foreach (var column in reply.Columns)
        {
            MessageWriter.Text(Output, column.Name);
            MessageWriter.Int32(Output, 0);
            MessageWriter.Int16(Output, 0);
            var (oid, size) = column.Type switch
            {
                ConsoleColumnType.Int8 => (20, (short)8),
                ConsoleColumnType.Float8 => (701, (short)8),
                ConsoleColumnType.Boolean => (16, (short)1),
                ConsoleColumnType.TimestampTz => (1184, (short)8),
                _ => (25, (short)-1),
            };
            MessageWriter.Int32(Output, oid);
            MessageWriter.Int16(Output, size);
            MessageWriter.Int32(Output, -1);
            MessageWriter.Int16(Output, 0);
        }
    }

    // Semicolons outside quotes and comments end a statement.
    private static IEnumerable<string> SplitStatements(string text)
    {
        var start = 0;
        for (var i = 0; i < text.Length; i++)
        {
            switch (text[i])
            {
                case '\'' or '"':
                    var close = text.IndexOf(text[i], i + 1);
                    i = close < 0 ? text.Length : close;
                    break;
                case '-' when i + 1 < text.Length && text[i + 1] == '-':
                    var newline = text.IndexOf('\n', i);
                    i = newline < 0 ? text.Length : newline;
                    break;
                case '/' when i + 1 < text.Length && text[i + 1] == '*':
                    var end = text.IndexOf("*/", i + 2, StringComparison.Ordinal);
                    i = end < 0 ? text.Length : end + 1;
                    break;
                case ';':
                    if (text[start..i].Trim().Length > 0)
                    {
                        yield return text[start..i].Trim();
                    }

                    start = i + 1;
                    break;
            }
        }

        if (start < text.Length && text[start..].Trim().Length > 0)
        {
            yield return text[start..].Trim();
        }
    }

    private static string Text(ReadOnlySpan<byte> payload) => Encoding.UTF8.GetString(payload.TrimEnd((byte)0));

    private static string ReadName(ReadOnlySpan<byte> payload) => Encoding.UTF8.GetString(new PayloadReader(payload).ReadCString());

    private static (string Name, string Sql) ReadParse(ReadOnlySpan<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var name = Encoding.UTF8.GetString(reader.ReadCString());
        return (name, Encoding.UTF8.GetString(reader.ReadCString()));
    }

    private static (string Portal, string Statement, int Parameters) ReadBind(ReadOnlySpan<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var portal = Encoding.UTF8.GetString(reader.ReadCString());
        var statement = Encoding.UTF8.GetString(reader.ReadCString());
        var formats = reader.ReadInt16();
        reader.ReadBytes(formats * 2);
        return (portal, statement, reader.ReadInt16());
    }
}
