using System.Text;

namespace ShardProxy.Wire.Messages;

/// <summary>The fields of an ErrorResponse or NoticeResponse that the proxy itself looks at. Built off the hot path.</summary>
/// <param name="Severity">Non-localised severity (field V), else field S.</param>
/// <param name="SqlState">Field C.</param>
/// <param name="Message">Field M.</param>
/// <param name="Constraint">Field n, or empty: where the gate's marker is.</param>
public sealed record ErrorFields(string Severity, string SqlState, string Message, string Constraint)
{
    /// <summary>Reads the fields of a payload; unknown ones are skipped, a malformed payload gives what was read so far.</summary>
    public static ErrorFields Read(ReadOnlySpan<byte> payload)
    {
        string severity = "", sqlState = "", message = "", constraint = "";
        while (payload.Length > 1 && payload[0] != 0)
        {
            var code = payload[0];
            var end = payload[1..].IndexOf((byte)0);
            if (end < 0)
            {
                break;
            }

            var value = payload.Slice(1, end);
            switch (code)
            {
                case (byte)'S' when severity.Length == 0:
                case (byte)'V':
                    severity = Encoding.UTF8.GetString(value);
                    break;
                case (byte)'C':
                    sqlState = Encoding.UTF8.GetString(value);
                    break;
                case (byte)'M':
                    message = Encoding.UTF8.GetString(value);
                    break;
                case (byte)'n':
                    constraint = Encoding.UTF8.GetString(value);
                    break;
            }

            payload = payload[(end + 2)..];
        }

        return new ErrorFields(severity, sqlState, message, constraint);
    }

    /// <summary>The payload with a line behind its context (field W): where it came from.</summary>
    public static byte[] WithContext(ReadOnlySpan<byte> payload, string line)
    {
        var changed = new List<byte>(payload.Length + line.Length + 8);
        var context = "";
        while (payload.Length > 1 && payload[0] != 0)
        {
            var end = payload[1..].IndexOf((byte)0);
            if (end < 0)
            {
                break;
            }

            if (payload[0] == (byte)'W')
            {
                context = Encoding.UTF8.GetString(payload.Slice(1, end)) + "\n";
            }
            else
            {
                changed.AddRange(payload[..(end + 2)]);
            }

            payload = payload[(end + 2)..];
        }

        changed.Add((byte)'W');
        changed.AddRange(Encoding.UTF8.GetBytes(context + line));
        changed.Add(0);
        changed.Add(0);
        return [.. changed];
    }

    /// <summary>The payload with another severity: what is an error of a statement ends a connection that is only being made.</summary>
    public static byte[] WithSeverity(ReadOnlySpan<byte> payload, string severity)
    {
        var changed = new List<byte>(payload.Length + 8);
        while (payload.Length > 1 && payload[0] != 0)
        {
            var end = payload[1..].IndexOf((byte)0);
            if (end < 0)
            {
                break;
            }

            changed.Add(payload[0]);
            changed.AddRange(payload[0] is (byte)'S' or (byte)'V' ? Encoding.UTF8.GetBytes(severity) : payload.Slice(1, end));
            changed.Add(0);
            payload = payload[(end + 2)..];
        }

        changed.Add(0);
        return [.. changed];
    }
}
