using System.Text;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Servers;

/// <summary>The outcome of a command the proxy ran on its own account.</summary>
/// <param name="Tag">Last command tag, or empty.</param>
/// <param name="ErrorPayload">Payload of the first ErrorResponse, or null on success.</param>
/// <param name="Error">Its fields.</param>
/// <param name="Rows">Rows as text values, when asked for.</param>
/// <param name="RowDescription">Payload of the RowDescription, when there was one.</param>
internal sealed record DialogResult(string Tag, byte[]? ErrorPayload, ErrorFields? Error, List<byte[]?[]> Rows, byte[]? RowDescription)
{
    public bool IsOk => ErrorPayload is null;

    /// <summary>Payloads of the notices on the way, the first few.</summary>
    public IReadOnlyList<byte[]> Notices { get; init; } = [];

    /// <summary>Type OIDs of the last ParameterDescription.</summary>
    public uint[] ParameterTypes { get; init; } = [];

    /// <summary>There were more rows than <see cref="SideDialog.MaxRows"/>: those in <see cref="Rows"/> are not the result.</summary>
    public bool IsTruncated { get; init; }

    /// <summary>Passes the notices on.</summary>
    public void WriteNotices(System.Buffers.IBufferWriter<byte> to)
    {
        foreach (var notice in Notices)
        {
            MessageWriter.Raw(to, BackendTag.NoticeResponse, notice);
        }
    }
}

/// <summary>
/// Runs a command on a leased server outside the client's sight: transaction control over several nodes, partial aggregates,
/// fan-out. Results are small or bounded.
/// </summary>
internal static class SideDialog
{
    /// <summary>Bound on rows kept from one command.</summary>
    public const int MaxRows = 10_000;

    /// <summary>Bound on notices kept from one command.</summary>
    private const int MaxNotices = 100;

    private const int MaxPayloadBytes = 64 * 1024 * 1024;

    /// <summary>Sends a simple query and reads to its ReadyForQuery.</summary>
    /// <exception cref="EndOfStreamException">The server was lost; it is marked broken.</exception>
    public static async ValueTask<DialogResult> RunAsync(ServerConnection server, ReadOnlyMemory<byte> sql)
    {
        Send(server, sql.Span);
        await server.Output.FlushAsync().ConfigureAwait(false);
        return await CollectAsync(server).ConfigureAwait(false);
    }

    /// <summary>As above, from a string.</summary>
    public static ValueTask<DialogResult> RunAsync(ServerConnection server, string sql) => RunAsync(server, Encoding.UTF8.GetBytes(sql));

    /// <summary>Sends a command with or without bound parameters and reads to its ReadyForQuery.</summary>
    public static async ValueTask<DialogResult> RunAsync(ServerConnection server, NodeCommand command)
    {
        command.Send(server);
        await server.Output.FlushAsync().ConfigureAwait(false);
        return await CollectAsync(server).ConfigureAwait(false);
    }

    /// <summary>The result of a dialogue, null when its server was lost: that is the caller's to tell.</summary>
    public static async ValueTask<DialogResult?> OrLostAsync(ValueTask<DialogResult> dialogue)
    {
        try
        {
            return await dialogue.ConfigureAwait(false);
        }
        catch (EndOfStreamException)
        {
            return null;
        }
    }

    /// <summary>Writes a hidden simple query without flushing.</summary>
    public static void Send(ServerConnection server, ReadOnlySpan<byte> sql)
    {
        MessageWriter.CString(server.Output, FrontendTag.Query, sql);

        // A simple query destroys the unnamed statement (PostgreSQL documentation, "Extended Query").
        server.UnnamedStatement = null;
        server.Owed.Enqueue(ReplyKind.Query, isHidden: true);
    }

    /// <summary>Reads until everything owed was answered; keeps the last command's result.</summary>
    /// <param name="server">The server.</param>
    /// <param name="digest">Takes the rows in place of the result; a server that sends more than it wants is given up.</param>
    public static async ValueTask<DialogResult> CollectAsync(ServerConnection server, Shadowing.RowDigest? digest = null)
    {
        byte[]? error = null, rowDescription = null;
        ErrorFields? fields = null;
        uint[] parameterTypes = [];
        var tagText = "";
        var rows = new List<byte[]?[]>();
        var notices = new List<byte[]>();
        var isTruncated = false;
        var isUnknown = false;
        Types.RowPatch? patch = null;
        try
        {
            while (server.Owed.Count > 0)
            {
                var (tag, payload) = await FrameIo.ReadAsync(server.Input, MaxPayloadBytes, CancellationToken.None).ConfigureAwait(false);
                switch (tag)
                {
                    case BackendTag.ErrorResponse:
                        error ??= payload;
                        fields ??= ErrorFields.Read(payload);
                        if (fields.Severity is "FATAL" or "PANIC")
                        {
                            server.LastWords ??= payload;
                            throw new EndOfStreamException("the server ended the session");
                        }

                        break;
                    case BackendTag.CommandComplete:
                        tagText = Encoding.UTF8.GetString(payload.AsSpan(0, payload.Length - 1));
                        break;
                    case BackendTag.RowDescription:
                        rowDescription = payload;
                        digest?.Describe(payload);
                        isUnknown |= server.Types?.TryDescribeRow(payload, keepsTypes: false, out _, out patch) == false;
                        break;
                    case BackendTag.ParameterDescription:
                        isUnknown |= server.Types?.TryDescribeParameters(payload, out _) == false;
                        parameterTypes = ParameterTypes(payload);
                        break;
                    case BackendTag.DataRow:
                        isUnknown |= patch?.TryApply(payload.AsSpan()) == false;
                        if (digest is not null)
                        {
                            digest.Add(payload);
                            if (digest.IsTooLarge)
                            {
                                throw new EndOfStreamException("the result is too large");
                            }
                        }
                        else if (rows.Count < MaxRows)
                        {
                            rows.Add(Values(payload));
                        }
                        else
                        {
                            isTruncated = true;
                        }

                        break;
                    case BackendTag.NoticeResponse:
                        if (notices.Count < MaxNotices)
                        {
                            notices.Add(payload);
                        }

                        break;
                    case BackendTag.NotificationResponse:
                        server.Notifications.Add(payload);
                        break;
                    case BackendTag.ParameterStatus:
                        server.Parameters = server.Parameters.With(payload);
                        break;
                    case BackendTag.CopyInResponse:
                        return new DialogResult("COPY IN", error, fields, rows, payload);
                    case BackendTag.ReadyForQuery:
                        server.Status = payload[0];
                        while (server.Owed.Count > 0 && server.Owed.Dequeue().Kind is not (ReplyKind.Query or ReplyKind.Sync or ReplyKind.FunctionCall))
                        {
                            // Replies of the extended protocol before this Sync were read above.
                        }

                        break;
                }
            }
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException or ProtocolException)
        {
            server.GiveUp();
            throw e as EndOfStreamException ?? new EndOfStreamException("the server was lost", e);
        }

        if (isUnknown && error is null)
        {
            error = ClientReplies.Payload(Routing.RoutingErrors.TypeUnknown);
            fields = ErrorFields.Read(error);
        }

        return new DialogResult(tagText, error, fields, rows, rowDescription) { Notices = notices, IsTruncated = isTruncated, ParameterTypes = parameterTypes };
    }

    private static uint[] ParameterTypes(byte[] parameterDescription)
    {
        var reader = new PayloadReader(parameterDescription);
        var types = new uint[reader.ReadInt16()];
        for (var i = 0; i < types.Length; i++)
        {
            types[i] = reader.ReadUInt32();
        }

        return types;
    }

    /// <summary>The values of a DataRow's payload.</summary>
    public static byte[]?[] Values(ReadOnlySpan<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var values = new byte[]?[reader.ReadInt16()];
        for (var i = 0; i < values.Length; i++)
        {
            var length = reader.ReadInt32();
            values[i] = length < 0 ? null : reader.ReadBytes(length).ToArray();
        }

        return values;
    }
}
