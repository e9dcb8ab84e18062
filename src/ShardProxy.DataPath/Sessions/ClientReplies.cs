using System.Buffers;
using System.IO.Pipelines;
using ShardProxy.Model.Errors;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>The proxy's own replies to a client.</summary>
internal static class ClientReplies
{
    /// <summary>An error of ours; the code goes in front of the detail, where every client shows it.</summary>
    public static void Error(PipeWriter client, ShardProxyError error, string severity = "ERROR")
    {
        var detail = error.Detail is null ? error.Code : $"{error.Code}: {error.Detail}";
        MessageWriter.ErrorOrNotice(client, BackendTag.ErrorResponse, severity, error.SqlState, error.Message, detail, error.Hint,
            error.Position?.ToString(System.Globalization.CultureInfo.InvariantCulture));
    }

    /// <summary>The payload of an error of ours, in the place of a server's.</summary>
    public static byte[] Payload(ShardProxyError error)
    {
        var written = new ArrayBufferWriter<byte>();
        MessageWriter.ErrorOrNotice(written, BackendTag.ErrorResponse, "ERROR", error.SqlState, error.Message, error.Code, error.Hint);
        return written.WrittenSpan[FrameHeader.Bytes..].ToArray();
    }

    /// <summary>An error with PostgreSQL's own wording where the proxy answers in its place.</summary>
    public static void Error(PipeWriter client, string sqlState, string message, string severity = "ERROR") =>
        MessageWriter.ErrorOrNotice(client, BackendTag.ErrorResponse, severity, sqlState, message);

    public static void Notice(PipeWriter client, string sqlState, string message, string severity = "NOTICE") =>
        MessageWriter.ErrorOrNotice(client, BackendTag.NoticeResponse, severity, sqlState, message);
}
