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

    /// <summary>The SQL that brings a server from <paramref name="present"/> to this map.</summary>
    public string TransitionFrom(SessionSettings present)
    {
        var sql = new StringBuilder();
        foreach (var (name, _) in present._values)
        {
            if (!_values.ContainsKey(name))
            {
                sql.Append("RESET ").Append(Target(name)).Append(';');
            }
        }

        foreach (var (name, value) in _values)
        {
            if (!string.Equals(present[name], value, StringComparison.Ordinal))
            {
                sql.Append("SET ").Append(Target(name)).Append(" TO ").Append(value).Append(';');
            }
        }

        return sql.ToString();
    }

    // SESSION AUTHORIZATION and ROLE are settable by their parameter names too; custom parameters have a dot.
    private static string Target(string name) => string.Join('.', name.Split('.').Select(SqlIdentifier.Quote));
}
