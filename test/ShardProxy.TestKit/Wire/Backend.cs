using System.Text;

namespace ShardProxy.TestKit.Wire;

/// <summary>The messages a server sends, as bytes, for <see cref="FakeBackend"/> and for expectations.</summary>
public static class Backend
{
    private const int TextOid = 25;

    public static byte[] AuthenticationOk() => Authentication(0, []);

    public static byte[] AuthenticationSasl(params string[] mechanisms) =>
        Authentication(10, [.. mechanisms.SelectMany(m => Encoding.ASCII.GetBytes(m + "\0")), 0]);

    public static byte[] AuthenticationSaslContinue(byte[] data) => Authentication(11, data);

    public static byte[] AuthenticationSaslFinal(byte[] data) => Authentication(12, data);

    public static byte[] AuthenticationMd5(ReadOnlySpan<byte> salt) => Authentication(5, salt.ToArray());

    public static byte[] AuthenticationCleartext() => Authentication(3, []);

    public static byte[] ParameterStatus(string name, string value) => new MessageBuilder('S').String(name).String(value).ToArray();

    public static byte[] BackendKeyData(int processId, int secretKey) => new MessageBuilder('K').Int32(processId).Int32(secretKey).ToArray();

    /// <param name="status">I, T or E.</param>
    public static byte[] ReadyForQuery(char status = 'I') => new MessageBuilder('Z').Byte((byte)status).ToArray();

    public static byte[] ParseComplete() => new MessageBuilder('1').ToArray();

    public static byte[] BindComplete() => new MessageBuilder('2').ToArray();

    public static byte[] CloseComplete() => new MessageBuilder('3').ToArray();

    public static byte[] NoData() => new MessageBuilder('n').ToArray();

    public static byte[] EmptyQueryResponse() => new MessageBuilder('I').ToArray();

    public static byte[] PortalSuspended() => new MessageBuilder('s').ToArray();

    public static byte[] CommandComplete(string tag) => new MessageBuilder('C').String(tag).ToArray();

    public static byte[] ParameterDescription(params uint[] types)
    {
        var builder = new MessageBuilder('t').Int16(types.Length);
        foreach (var type in types)
        {
            builder.Int32((int)type);
        }

        return builder.ToArray();
    }

    /// <summary>Columns of type text.</summary>
    public static byte[] RowDescription(params string[] columns)
    {
        var builder = new MessageBuilder('T').Int16(columns.Length);
        foreach (var column in columns)
        {
            builder.String(column).Int32(0).Int16(0).Int32(TextOid).Int16(-1).Int32(-1).Int16(0);
        }

        return builder.ToArray();
    }

    public static byte[] DataRow(params string?[] values)
    {
        var builder = new MessageBuilder('D').Int16(values.Length);
        foreach (var value in values)
        {
            builder.Value(value is null ? null : Encoding.UTF8.GetBytes(value));
        }

        return builder.ToArray();
    }

    public static byte[] ErrorResponse(string sqlState, string message, string severity = "ERROR") => Report('E', sqlState, message, severity);

    public static byte[] NoticeResponse(string sqlState, string message, string severity = "NOTICE") => Report('N', sqlState, message, severity);

    public static byte[] NotificationResponse(int processId, string channel, string payload) =>
        new MessageBuilder('A').Int32(processId).String(channel).String(payload).ToArray();

    public static byte[] CopyInResponse(int columns) => Copy('G', columns);

    public static byte[] CopyOutResponse(int columns) => Copy('H', columns);

    public static byte[] CopyData(string text) => Frontend.CopyData(text);

    public static byte[] CopyDone() => Frontend.CopyDone();

    private static byte[] Authentication(int code, byte[] data) => new MessageBuilder('R').Int32(code).Bytes(data).ToArray();

    private static byte[] Report(char type, string sqlState, string message, string severity) => new MessageBuilder(type)
        .Byte((byte)'S').String(severity).Byte((byte)'V').String(severity).Byte((byte)'C').String(sqlState).Byte((byte)'M').String(message).Byte(0).ToArray();

    private static byte[] Copy(char type, int columns)
    {
        var builder = new MessageBuilder(type).Byte(0).Int16(columns);
        for (var i = 0; i < columns; i++)
        {
            builder.Int16(0);
        }

        return builder.ToArray();
    }
}
