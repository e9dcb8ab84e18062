using System.Collections.Immutable;
using System.Text;
using ShardProxy.Wire.Framing;

namespace ShardProxy.Wire.Messages;

/// <summary>What an untagged first packet can be (PostgreSQL documentation, "Message Formats": StartupMessage and its siblings).</summary>
public enum StartupKind
{
    Startup,
    Cancel,
    Ssl,
    GssEncryption,
}

/// <summary>The first packet of a connection.</summary>
public sealed record StartupRequest(
    StartupKind Kind, int MajorVersion, int MinorVersion, ImmutableArray<KeyValuePair<string, string>> Parameters, int CancelProcessId, int CancelSecret)
{
    public const int MaxBytes = 10_000;

    /// <summary>The code of SSLRequest.</summary>
    public const int SslCode = 80877103;

    private const int CancelCode = 80877102;
    private const int GssCode = 80877104;

    /// <summary>The value of a startup parameter, or null.</summary>
    public string? this[string name]
    {
        get
        {
            foreach (var (key, value) in Parameters)
            {
                if (string.Equals(key, name, StringComparison.Ordinal))
                {
                    return value;
                }
            }

            return null;
        }
    }

    /// <summary>Decodes the packet after its length word.</summary>
    /// <exception cref="ProtocolException">Malformed, or a protocol other than 3.</exception>
    public static StartupRequest Read(ReadOnlySpan<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var code = reader.ReadInt32();
        switch (code)
        {
            case SslCode:
                reader.RequireEnd();
                return new StartupRequest(StartupKind.Ssl, 0, 0, [], 0, 0);
            case GssCode:
                reader.RequireEnd();
                return new StartupRequest(StartupKind.GssEncryption, 0, 0, [], 0, 0);
            case CancelCode:
                return new StartupRequest(StartupKind.Cancel, 0, 0, [], reader.ReadInt32(), reader.ReadInt32());
        }

        var major = code >> 16;
        if (major != 3)
        {
            throw new ProtocolException("0A000", $"unsupported frontend protocol {major}.{code & 0xFFFF}: server supports 3.0 to 3.0");
        }

        var parameters = ImmutableArray.CreateBuilder<KeyValuePair<string, string>>();
        while (reader.Remaining > 1)
        {
            var name = Encoding.UTF8.GetString(reader.ReadCString());
            if (name.Length == 0)
            {
                throw new ProtocolException("08P01", "invalid startup packet layout: expected terminator as last byte");
            }

            parameters.Add(new(name, Encoding.UTF8.GetString(reader.ReadCString())));
        }

        if (reader.Remaining != 1 || reader.ReadByte() != 0)
        {
            throw new ProtocolException("08P01", "invalid startup packet layout: expected terminator as last byte");
        }

        return new StartupRequest(StartupKind.Startup, major, code & 0xFFFF, parameters.ToImmutable(), 0, 0);
    }
}
