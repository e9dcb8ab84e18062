using System.Text;

namespace ShardProxy.TestKit.Wire;

/// <summary>
/// The messages a client sends, as bytes; concatenate them to pipeline (PostgreSQL documentation, section 55.7). Nothing is checked:
/// tests also want what no client would send.
/// </summary>
public static class Frontend
{
    private const int ProtocolVersion3 = 3 << 16, SslRequestCode = 80877103, GssRequestCode = 80877104, CancelRequestCode = 80877102;

    public static byte[] Startup(params IEnumerable<KeyValuePair<string, string>> parameters) => Startup(ProtocolVersion3, parameters);

    public static byte[] Startup(int protocolVersion, IEnumerable<KeyValuePair<string, string>> parameters)
    {
        var builder = new MessageBuilder(null).Int32(protocolVersion);
        foreach (var (name, value) in parameters)
        {
            builder.String(name).String(value);
        }

        return builder.Byte(0).ToArray();
    }

    public static byte[] SslRequest() => new MessageBuilder(null).Int32(SslRequestCode).ToArray();

    public static byte[] GssEncryptionRequest() => new MessageBuilder(null).Int32(GssRequestCode).ToArray();

    public static byte[] CancelRequest(int processId, int secretKey) => new MessageBuilder(null).Int32(CancelRequestCode).Int32(processId).Int32(secretKey).ToArray();

    public static byte[] Password(string password) => new MessageBuilder('p').String(password).ToArray();

    public static byte[] SaslInitialResponse(string mechanism, byte[]? data) => new MessageBuilder('p').String(mechanism).Value(data).ToArray();

    public static byte[] SaslResponse(byte[] data) => new MessageBuilder('p').Bytes(data).ToArray();

    public static byte[] Query(string sql) => new MessageBuilder('Q').String(sql).ToArray();

    public static byte[] Parse(string sql, string statement = "", params uint[] parameterTypes)
    {
        var builder = new MessageBuilder('P').String(statement).String(sql).Int16(parameterTypes.Length);
        foreach (var type in parameterTypes)
        {
            builder.Int32((int)type);
        }

        return builder.ToArray();
    }

    /// <summary>Binds values in text format and asks for results in text format.</summary>
    public static byte[] Bind(string statement = "", string portal = "", params string?[] values) =>
        Bind(statement, portal, [], [.. values.Select(v => v is null ? null : Encoding.UTF8.GetBytes(v))], []);

    /// <summary>Binds with every field of the message; a format is 0 (text) or 1 (binary).</summary>
    public static byte[] Bind(string statement, string portal, int[] parameterFormats, byte[]?[] values, int[] resultFormats)
    {
        var builder = new MessageBuilder('B').String(portal).String(statement);
        AddFormats(builder, parameterFormats);
        builder.Int16(values.Length);
        foreach (var value in values)
        {
            builder.Value(value);
        }

        AddFormats(builder, resultFormats);
        return builder.ToArray();
    }

    public static byte[] DescribeStatement(string statement = "") => new MessageBuilder('D').Byte((byte)'S').String(statement).ToArray();

    public static byte[] DescribePortal(string portal = "") => new MessageBuilder('D').Byte((byte)'P').String(portal).ToArray();

    public static byte[] Execute(string portal = "", int maximumRows = 0) => new MessageBuilder('E').String(portal).Int32(maximumRows).ToArray();

    public static byte[] CloseStatement(string statement) => new MessageBuilder('C').Byte((byte)'S').String(statement).ToArray();

    public static byte[] ClosePortal(string portal) => new MessageBuilder('C').Byte((byte)'P').String(portal).ToArray();

    public static byte[] Sync() => new MessageBuilder('S').ToArray();

    public static byte[] Flush() => new MessageBuilder('H').ToArray();

    public static byte[] Terminate() => new MessageBuilder('X').ToArray();

    public static byte[] CopyData(string text) => new MessageBuilder('d').Bytes(Encoding.UTF8.GetBytes(text)).ToArray();

    public static byte[] CopyDone() => new MessageBuilder('c').ToArray();

    public static byte[] CopyFail(string reason) => new MessageBuilder('f').String(reason).ToArray();

    public static byte[] FunctionCall() => new MessageBuilder('F').Int32(0).Int16(0).Int16(0).Int16(0).ToArray();

    /// <summary>A message of any type and body; <paramref name="claimedLength"/> overrides the honest length (which counts itself).</summary>
    public static byte[] Raw(char type, ReadOnlySpan<byte> body, int? claimedLength = null)
    {
        var message = new MessageBuilder(type).Bytes(body).ToArray();
        if (claimedLength is { } length)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), length);
        }

        return message;
    }

    private static void AddFormats(MessageBuilder builder, int[] formats)
    {
        builder.Int16(formats.Length);
        foreach (var format in formats)
        {
            builder.Int16(format);
        }
    }
}
