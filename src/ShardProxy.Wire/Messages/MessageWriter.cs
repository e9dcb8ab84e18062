using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace ShardProxy.Wire.Messages;

/// <summary>
/// Writes protocol messages into a buffer writer. Nothing is flushed; nothing is allocated for messages whose text is given as
/// UTF-8. Formats: PostgreSQL documentation, "Message Formats".
/// </summary>
public static class MessageWriter
{
    /// <summary>Tag and length for a payload of that size; the caller then writes exactly so many bytes.</summary>
    public static void Header(IBufferWriter<byte> to, byte tag, int payloadBytes)
    {
        var span = to.GetSpan(5);
        span[0] = tag;
        BinaryPrimitives.WriteInt32BigEndian(span[1..], payloadBytes + 4);
        to.Advance(5);
    }

    /// <summary>A message without a payload, such as Sync or ParseComplete.</summary>
    public static void Empty(IBufferWriter<byte> to, byte tag) => Header(to, tag, 0);

    /// <summary>A message whose payload is already encoded.</summary>
    public static void Raw(IBufferWriter<byte> to, byte tag, ReadOnlySpan<byte> payload)
    {
        Header(to, tag, payload.Length);
        to.Write(payload);
    }

    /// <summary>A message of one NUL-terminated string: Query, CommandComplete, CopyFail.</summary>
    public static void CString(IBufferWriter<byte> to, byte tag, ReadOnlySpan<byte> utf8)
    {
        Header(to, tag, utf8.Length + 1);
        Text(to, utf8);
    }

    /// <summary>CommandComplete or another message of one string.</summary>
    public static void CString(IBufferWriter<byte> to, byte tag, string text)
    {
        Header(to, tag, Encoding.UTF8.GetByteCount(text) + 1);
        Text(to, text);
    }

    /// <summary>ReadyForQuery with status I, T or E.</summary>
    public static void ReadyForQuery(IBufferWriter<byte> to, byte status)
    {
        Header(to, BackendTag.ReadyForQuery, 1);
        to.GetSpan(1)[0] = status;
        to.Advance(1);
    }

    public static void ParameterStatus(IBufferWriter<byte> to, string name, string value)
    {
        Header(to, BackendTag.ParameterStatus, Encoding.UTF8.GetByteCount(name) + Encoding.UTF8.GetByteCount(value) + 2);
        Text(to, name);
        Text(to, value);
    }

    public static void BackendKeyData(IBufferWriter<byte> to, int processId, int secret)
    {
        Header(to, BackendTag.BackendKeyData, 8);
        Int32(to, processId);
        Int32(to, secret);
    }

    /// <summary>Authentication request of that kind with extra data (salt, mechanisms, SASL payload).</summary>
    public static void Authentication(IBufferWriter<byte> to, int kind, ReadOnlySpan<byte> data = default)
    {
        Header(to, BackendTag.Authentication, 4 + data.Length);
        Int32(to, kind);
        to.Write(data);
    }

    /// <summary>Parse: statement name, text, parameter types as already encoded (count and OIDs).</summary>
    public static void Parse(IBufferWriter<byte> to, ReadOnlySpan<byte> name, ReadOnlySpan<byte> sql, ReadOnlySpan<byte> encodedTypes)
    {
        Header(to, FrontendTag.Parse, name.Length + sql.Length + 2 + encodedTypes.Length);
        Text(to, name);
        Text(to, sql);
        to.Write(encodedTypes);
    }

    /// <summary>Parse: statement name, text, OIDs of the parameters' types.</summary>
    public static void Parse(IBufferWriter<byte> to, ReadOnlySpan<byte> name, ReadOnlySpan<byte> sql, ReadOnlySpan<uint> typeOids)
    {
        Header(to, FrontendTag.Parse, name.Length + 1 + sql.Length + 1 + 2 + (4 * typeOids.Length));
        Text(to, name);
        Text(to, sql);
        Int16(to, (short)typeOids.Length);
        foreach (var oid in typeOids)
        {
            Int32(to, (int)oid);
        }
    }

    /// <summary>Describe or Close of a statement ('S') or portal ('P').</summary>
    public static void Target(IBufferWriter<byte> to, byte tag, byte kind, ReadOnlySpan<byte> name)
    {
        Header(to, tag, 2 + name.Length);
        to.GetSpan(1)[0] = kind;
        to.Advance(1);
        Text(to, name);
    }

    /// <summary>ErrorResponse or NoticeResponse from its fields; null fields are left out.</summary>
    public static void ErrorOrNotice(
        IBufferWriter<byte> to, byte tag, string severity, string sqlState, string message, string? detail = null, string? hint = null, string? position = null)
    {
        var size = 1 + Field(severity) + Field(severity) + Field(sqlState) + Field(message) + Field(detail) + Field(hint) + Field(position);
        Header(to, tag, size);
        WriteField(to, 'S', severity);
        WriteField(to, 'V', severity);
        WriteField(to, 'C', sqlState);
        WriteField(to, 'M', message);
        WriteField(to, 'D', detail);
        WriteField(to, 'H', hint);
        WriteField(to, 'P', position);
        to.GetSpan(1)[0] = 0;
        to.Advance(1);
    }

    public static void Int16(IBufferWriter<byte> to, short value)
    {
        BinaryPrimitives.WriteInt16BigEndian(to.GetSpan(2), value);
        to.Advance(2);
    }

    public static void Int32(IBufferWriter<byte> to, int value)
    {
        BinaryPrimitives.WriteInt32BigEndian(to.GetSpan(4), value);
        to.Advance(4);
    }

    /// <summary>UTF-8 bytes and a NUL.</summary>
    public static void Text(IBufferWriter<byte> to, ReadOnlySpan<byte> utf8)
    {
        to.Write(utf8);
        to.GetSpan(1)[0] = 0;
        to.Advance(1);
    }

    /// <summary>A string as UTF-8 and a NUL.</summary>
    public static void Text(IBufferWriter<byte> to, string text)
    {
        var span = to.GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length) + 1);
        var count = Encoding.UTF8.GetBytes(text, span);
        span[count] = 0;
        to.Advance(count + 1);
    }

    private static int Field(string? value) => value is null ? 0 : 2 + Encoding.UTF8.GetByteCount(value);

    private static void WriteField(IBufferWriter<byte> to, char code, string? value)
    {
        if (value is null)
        {
            return;
        }

        to.GetSpan(1)[0] = (byte)code;
        to.Advance(1);
        Text(to, value);
    }
}
