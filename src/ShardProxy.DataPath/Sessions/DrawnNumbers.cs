using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Numbers the proxy has drawn for keys of the session's INSERTs: what <c>currval</c> and <c>lastval</c> mean, though no server of the session has drawn
/// them (PostgreSQL documentation, "Sequence Manipulation Functions"). One session's.
/// </summary>
internal sealed class DrawnNumbers
{
    private readonly Dictionary<QualifiedName, string> _last = [];
    private string? _newest;
    private bool _isLost;

    /// <summary>Nothing was drawn: the servers know all there is.</summary>
    public bool IsEmpty => _last.Count == 0 && !_isLost;

    /// <summary>Nothing that may have drawn has run since.</summary>
    public bool IsLast { get; set; }

    /// <summary>The INSERT that has the number drawn last.</summary>
    public StatementShape? Statement { get; set; }

    /// <summary>A number was drawn.</summary>
    public void Note(string sequence, string number)
    {
        if (Parse(sequence) is { } name)
        {
            _last[name] = number;
            _newest = number;
            IsLast = true;
        }
    }

    /// <summary>A server has drawn a number for a statement that runs on another.</summary>
    public void Note(SequenceCall call, string number, bool hasDefaultPath)
    {
        if (call.Sequence is { } sequence && Parse(sequence) is { } name && (name.Schema.Length > 0 || hasDefaultPath))
        {
            _last[name.Schema.Length > 0 ? name : name with { Schema = "public" }] = number;
            _newest = number;
            IsLast = true;
        }
    }

    public void Clear()
    {
        _last.Clear();
        _isLost = false;
        Statement = null;
    }

    /// <summary>
    /// A statement is about to run. Its text where it only reads what is noted here, with the values in it; the same text where it is the servers' to
    /// answer; null when what it asks for cannot be told.
    /// </summary>
    public ReadOnlyMemory<byte>? Resolve(StatementShape shape, ReadOnlyMemory<byte> statement, RoutingTable table, bool hasDefaultPath)
    {
        if (IsEmpty || !shape.Functions.Any(IsSequenceFunction))
        {
            return statement;
        }

        var calls = SequenceCalls.Find(statement);
        foreach (var call in calls)
        {
            if (call.Function is not ("nextval" or "setval"))
            {
                continue;
            }

            // From here on the server that runs it knows better.
            if (NameOf(call, table, hasDefaultPath) is { } drawn)
            {
                _last.Remove(drawn);
            }
            else
            {
                _isLost = true;
            }

            IsLast = false;
        }

        if (!shape.Functions.Any(static f => f.Name is "currval" or "lastval"))
        {
            return statement;
        }

        var reads = calls.Where(static c => c.Function is "currval" or "lastval").ToList();
        if (reads.Count > 0 && reads.TrueForAll(c => c.Function == "currval" && NameOf(c, table, hasDefaultPath) is { } name && !_last.ContainsKey(name)))
        {
            return statement;
        }

        if (_isLost || reads.Count == 0 || SequenceCalls.Replace(statement, c => ValueOf(c, table, hasDefaultPath)) is not { } text)
        {
            return null;
        }

        return text;
    }

    private static bool IsSequenceFunction(FunctionUse function) => function.Name is "currval" or "lastval" or "nextval" or "setval";

    private string? ValueOf(SequenceCall call, RoutingTable table, bool hasDefaultPath) =>
        call.Function == "lastval" ? (IsLast ? _newest : null)
        : NameOf(call, table, hasDefaultPath) is { } name ? _last.GetValueOrDefault(name) : null;

    private static QualifiedName? NameOf(SequenceCall call, RoutingTable table, bool hasDefaultPath)
    {
        if (call.Sequence is { } sequence)
        {
            return Parse(sequence) is not { } name ? null : name.Schema.Length > 0 ? name : hasDefaultPath ? name with { Schema = "public" } : null;
        }

        return call.Table is { } text && Parse(text) is { } owner
            && table.Tables.FirstOrDefault(t => t.Name.Name == owner.Name && t.Name.Schema == (owner.Schema.Length > 0 ? owner.Schema : hasDefaultPath ? "public" : "")) is { } placed
            && placed.ColumnIndex(call.Column!) is >= 0 and var column && placed.Columns[column].Default is { Kind: ColumnDefaultKind.Sequence } drawn
            ? Parse(drawn.Text) : null;
    }

    // As regclass reads a name: folded unless quoted. The schema is empty when there is none.
    private static QualifiedName? Parse(string text)
    {
        var parts = new List<string>();
        for (var at = 0; at <= text.Length;)
        {
            if (at < text.Length && text[at] == '"')
            {
                var end = at + 1;
                while (end < text.Length && (text[end] != '"' || (end + 1 < text.Length && text[end + 1] == '"')))
                {
                    end += text[end] == '"' ? 2 : 1;
                }

                if (end >= text.Length)
                {
                    return null;
                }

                parts.Add(text[(at + 1)..end].Replace("\"\"", "\"", StringComparison.Ordinal));
                at = end + 1;
            }
            else
            {
                var end = text.IndexOf('.', at) is >= 0 and var dot ? dot : text.Length;
                if (!text[at..end].All(static c => char.IsLetterOrDigit(c) || c is '_' or '$'))
                {
                    return null;
                }

                parts.Add(text[at..end].ToLowerInvariant());
                at = end;
            }

            if (at == text.Length)
            {
                break;
            }

            if (text[at++] != '.')
            {
                return null;
            }
        }

        return parts.Count switch
        {
            1 => new QualifiedName("", parts[0]),
            2 => new QualifiedName(parts[0], parts[1]),
            _ => null,
        };
    }
}
