using System.Text;

namespace ShardProxy.TestKit.Wire;

/// <summary>What a server said, message by message, up to a ReadyForQuery or the end of the stream.</summary>
public sealed class Transcript
{
    internal Transcript(IReadOnlyList<WireMessage> messages) => Messages = messages;

    public IReadOnlyList<WireMessage> Messages { get; }

    /// <summary>Types only, such as <c>TDDCZ</c>.</summary>
    public string Types => string.Concat(Messages.Select(m => m.Type));

    /// <summary>All rows of all results, in text format; null is SQL NULL.</summary>
    public IReadOnlyList<IReadOnlyList<string?>> Rows =>
        [.. Messages.Where(m => m.Type == 'D').Select(m => (IReadOnlyList<string?>)[.. m.Values().Select(v => v is null ? null : Encoding.UTF8.GetString(v))])];

    /// <summary>The result columns of the first result, each as its name and the OID of its type; user types, whose OIDs differ from server to server, as 0.</summary>
    public IReadOnlyList<(string Name, uint TypeOid)> Columns
    {
        get
        {
            if (Messages.FirstOrDefault(m => m.Type == 'T') is not { } description)
            {
                return [];
            }

            var body = description.Body.AsSpan();
            var columns = new List<(string, uint)>();
            for (var at = 2; at < body.Length;)
            {
                var name = body[at..][..body[at..].IndexOf((byte)0)];
                at += name.Length + 1;
                var oid = System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(body[(at + 6)..]);
                columns.Add((Encoding.UTF8.GetString(name), oid < 16384 ? oid : 0));
                at += 18;
            }

            return columns;
        }
    }

    /// <summary>The command tags.</summary>
    public IReadOnlyList<string> Tags => [.. Messages.Where(m => m.Type == 'C').Select(m => Encoding.UTF8.GetString(m.Body).TrimEnd('\0'))];

    /// <summary>The errors.</summary>
    public IReadOnlyList<WireMessage> Errors => [.. Messages.Where(m => m.Type == 'E')];

    /// <summary>SQLSTATE of the first error, or null.</summary>
    public string? SqlState => Errors.Count == 0 ? null : Errors[0].Field('C');

    /// <summary>I, T or E of the ReadyForQuery at the end; null when the stream ended instead.</summary>
    public char? Status => Messages.Count > 0 && Messages[^1].Type == 'Z' ? (char)Messages[^1].Body[0] : null;

    /// <summary>One line a message.</summary>
    public override string ToString() => string.Join('\n', Messages.Select(m => m.Describe()));
}
