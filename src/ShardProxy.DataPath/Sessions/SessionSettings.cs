using System.Collections.Immutable;
using System.Text;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// The run-time parameters a client has set, as an immutable map from parameter name to the SQL text of its value. A server
/// connection carries the map it was last brought to; a lease compares the two and sends what differs.
/// </summary>
internal sealed class SessionSettings
{
    public static readonly SessionSettings Empty = new(ImmutableSortedDictionary<string, string>.Empty.WithComparers(StringComparer.Ordinal));

    // Who the session acts as, in the order in which it is given up.
    private static readonly ImmutableArray<string> Identity = ["role", "session_authorization"];

    private readonly ImmutableSortedDictionary<string, string> _values;

    private SessionSettings(ImmutableSortedDictionary<string, string> values) => _values = values;

    public bool IsEmpty => _values.IsEmpty;

    /// <summary>The SQL text of a parameter's value, or null when the client has not set it.</summary>
    public string? this[string name] => _values.GetValueOrDefault(name);

    /// <summary>The map with a parameter set to SQL text.</summary>
    public SessionSettings With(string name, string valueSql) => new(_values.SetItem(name, valueSql));

    /// <summary>The map without a parameter.</summary>
    public SessionSettings Without(string name) => _values.ContainsKey(name) ? new(_values.Remove(name)) : this;

    /// <summary>Same parameters with the same texts.</summary>
    public bool SameAs(SessionSettings other) =>
        ReferenceEquals(this, other) || (_values.Count == other._values.Count && _values.SequenceEqual(other._values));

    /// <summary>The map after RESET ALL, which goes back to <paramref name="startup"/> but leaves role and session authorization.</summary>
    public SessionSettings AfterResetAll(SessionSettings startup)
    {
        var next = startup;
        foreach (var name in Identity)
        {
            next = this[name] is { } value ? next.With(name, value) : next;
        }

        return next;
    }

    /// <summary>The map with what only the other one has.</summary>
    public SessionSettings WithMissing(SessionSettings other)
    {
        var next = this;
        foreach (var (name, value) in other._values)
        {
            next = next._values.ContainsKey(name) ? next : next.With(name, value);
        }

        return next;
    }

    /// <summary>
    /// The present map has a customised option this one lacks. It cannot be taken from a server again: RESET leaves an empty one.
    /// </summary>
    public bool LeavesTracesOf(SessionSettings present)
    {
        foreach (var (name, _) in present._values)
        {
            if (name.Contains('.', StringComparison.Ordinal) && !_values.ContainsKey(name))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// The SQL that brings a server from <paramref name="present"/> to this map. As the login role first, for only that may set everything; the
    /// client's own role last.
    /// </summary>
    public string TransitionFrom(SessionSettings present)
    {
        var sql = new StringBuilder();
        var from = present;
        foreach (var name in Identity)
        {
            if (from[name] is not null)
            {
                sql.Append("RESET ").Append(Target(name)).Append(';');
                from = from.Without(name);
            }
        }

        foreach (var (name, _) in from._values)
        {
            if (!_values.ContainsKey(name))
            {
                sql.Append("RESET ").Append(Target(name)).Append(';');
            }
        }

        foreach (var (name, value) in _values)
        {
            if (!Identity.Contains(name) && !string.Equals(from[name], value, StringComparison.Ordinal))
            {
                Set(name, value);
            }
        }

        for (var i = Identity.Length - 1; i >= 0; i--)
        {
            if (this[Identity[i]] is { } value)
            {
                Set(Identity[i], value);
            }
        }

        return sql.ToString();

        void Set(string name, string value) => sql.Append("SET ").Append(Target(name)).Append(" TO ").Append(value).Append(';');
    }

    // SESSION AUTHORIZATION and ROLE are settable by their parameter names too; custom parameters have a dot.
    private static string Target(string name) => string.Join('.', name.Split('.').Select(SqlIdentifier.Quote));
}
