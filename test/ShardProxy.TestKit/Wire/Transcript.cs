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
