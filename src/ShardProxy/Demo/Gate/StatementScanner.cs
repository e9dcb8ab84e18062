using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace ShardProxy.Demo.Gate;

/// <summary>
/// Follows the messages a client sends to a server (PostgreSQL documentation, "Message Formats") across arbitrary cuts, and counts those
/// that start a statement: Query and Execute. Control sessions of the proxy and replication are not clients' work and count nothing.
/// </summary>
internal sealed class StatementScanner
{
    private const int ProtocolVersion3 = 196_608;
    private const int LargestStartup = 10_000;

    private readonly byte[] _header = new byte[5];
    private readonly List<byte> _startup = [];
    private int _headerLength;
    private int _payloadLeft;
    private bool _isStarted;
    private bool _isCounted = true;

    /// <summary>Statements that begin in the next bytes of the stream.</summary>
    public int Scan(ReadOnlySpan<byte> bytes)
    {
        var statements = 0;
        while (!bytes.IsEmpty)
        {
            if (!_isStarted)
            {
                bytes = ScanStartup(bytes);
                continue;
            }

            if (_payloadLeft > 0)
            {
                var skipped = Math.Min(_payloadLeft, bytes.Length);
                _payloadLeft -= skipped;
                bytes = bytes[skipped..];
                continue;
            }

            var taken = Math.Min(5 - _headerLength, bytes.Length);
            bytes[..taken].CopyTo(_header.AsSpan(_headerLength));
            _headerLength += taken;
            bytes = bytes[taken..];
            if (_headerLength == 5)
            {
                _headerLength = 0;
                _payloadLeft = Math.Max(0, BinaryPrimitives.ReadInt32BigEndian(_header.AsSpan(1)) - 4);
                statements += _isCounted && _header[0] is (byte)'Q' or (byte)'E' ? 1 : 0;
            }
        }

        return _isCounted ? statements : 0;
    }

    /// <summary>Packets before and with the startup message have a length but no type.</summary>
    private ReadOnlySpan<byte> ScanStartup(ReadOnlySpan<byte> bytes)
    {
        var length = StartupLength() ?? 4;
        if (length is < 4 or > LargestStartup)
        {
            throw new InvalidDataException("not a PostgreSQL startup packet");
        }

        var taken = Math.Min(length - _startup.Count, bytes.Length);
        _startup.AddRange(bytes[..taken]);
        if (_startup.Count >= 8 && _startup.Count == StartupLength())
        {
            var packet = CollectionsMarshal.AsSpan(_startup);
            if (BinaryPrimitives.ReadInt32BigEndian(packet[4..]) == ProtocolVersion3)
            {
                _isStarted = true;
                _isCounted = !IsControl(packet[8..]);
            }

            _startup.Clear();
        }

        return bytes[taken..];
    }

    private int? StartupLength() => _startup.Count < 4 ? null : BinaryPrimitives.ReadInt32BigEndian(CollectionsMarshal.AsSpan(_startup));

    private static bool IsControl(ReadOnlySpan<byte> parameters)
    {
        var words = Encoding.UTF8.GetString(parameters).Split('\0');
        for (var i = 0; i + 1 < words.Length; i += 2)
        {
            if (words[i] == "replication" || (words[i] == "application_name" && words[i + 1].StartsWith("shardproxy/", StringComparison.Ordinal) &&
                words[i + 1].IndexOf('/', "shardproxy/".Length) > 0))
            {
                return true;
            }
        }

        return false;
    }
}
