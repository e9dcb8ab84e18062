using System.Text;
using System.Text.RegularExpressions;
using ShardProxy.DataPath.Servers;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// The custom parameters ("my.tenant") of a session. No server lists those by itself: what functions have set is looked up by the names that
/// stand in the statements and their parameters. None can be taken from a server again, for RESET leaves an empty one: a server with a
/// trace of one goes only to sessions that know it, too.
/// </summary>
internal sealed partial class CustomParameters
{
    private const int MaxNames = 200;
    private const int MaxTextBytes = 64 * 1024;

    private static readonly SettingValue Empty = new("''", IsConfigText: false);

    private readonly SortedSet<string> _names = new(StringComparer.Ordinal);

    private HashSet<string>? _own;

    /// <summary>What could be names and has to be looked up.</summary>
    public IEnumerable<string> Names => _names;

    /// <summary>The session has set one on a server.</summary>
    public void Set(string name, ServerConnection server)
    {
        if (name.Contains('.', StringComparison.Ordinal))
        {
            (_own ??= new(StringComparer.Ordinal)).Add(name);
            (server.CustomTraces ??= new(StringComparer.Ordinal)).Add(name);
        }
    }

    /// <summary>The session would find nothing on the server that it has not set itself.</summary>
    public bool Knows(ServerConnection server) => server.CustomTraces is not { } traces || (_own is not null && traces.IsSubsetOf(_own));

    [GeneratedRegex(@"[A-Za-z_\u0080-\uffff][\w$]*(\.[A-Za-z_\u0080-\uffff][\w$]*)+", RegexOptions.CultureInvariant)]
    private static partial Regex Dotted { get; }

    /// <summary>Notes what could be a name in a text, a statement or the parameters bound to one.</summary>
    public void Note(ReadOnlySpan<byte> text)
    {
        text = text[..Math.Min(text.Length, MaxTextBytes)];
        if (!text.Contains((byte)'.'))
        {
            return;
        }

        foreach (Match match in Dotted.Matches(Encoding.UTF8.GetString(text)))
        {
            if (_names.Count < MaxNames && match.Length < 128)
            {
                _names.Add(match.Value.ToLowerInvariant());
            }
        }
    }

    /// <summary>Notes a parameter that may have been set, by its name.</summary>
    public void NoteName(string name)
    {
        if (name.Contains('.', StringComparison.Ordinal) && _names.Count < MaxNames)
        {
            _names.Add(name);
        }
    }

    /// <summary>
    /// SQL that leaves on a server the traces of the session's own ones that it lacks, each for itself; null when it lacks none. Each is as it is
    /// after RESET: empty, or a library's default where the server has loaded the library that the name belongs to.
    /// </summary>
    public IReadOnlyList<string>? MissingOn(ServerConnection server)
    {
        if (_own is null || (server.CustomTraces is { } traces && _own.IsSubsetOf(traces)))
        {
            return null;
        }

        return [.. _own.Where(n => server.CustomTraces?.Contains(n) != true).Select(n => $"{SessionSettings.SetSql(n, Empty)}; {SessionSettings.ResetSql(n)}")];
    }

    /// <summary>The server has the traces of all of the session's own ones.</summary>
    public void AreOn(ServerConnection server)
    {
        (server.CustomTraces ??= new(StringComparer.Ordinal)).UnionWith(_own!);
    }

    /// <summary>Forgets them, for they were looked up.</summary>
    public void Clear() => _names.Clear();
}
