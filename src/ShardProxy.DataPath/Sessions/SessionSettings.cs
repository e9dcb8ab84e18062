using System.Collections.Immutable;
using System.Text;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Sessions;

/// <summary>A run-time parameter's value.</summary>
/// <param name="Text">SQL text that SET takes, or the text that <c>set_config</c> takes.</param>
/// <param name="IsConfigText">The latter: start-up parameters, and what a function has set. A list is one text there, and several literals in SQL.</param>
internal readonly record struct SettingValue(string Text, bool IsConfigText);

/// <summary>
/// The run-time parameters a client has set, as an immutable map from parameter name to value. A server connection carries the map it was
/// last brought to; a lease compares the two, by one string each, and sends what differs.
/// </summary>
internal sealed class SessionSettings
{
    public const string Role = "role";

    public const string SessionAuthorization = "session_authorization";

    public static readonly SessionSettings Empty = new(ImmutableSortedDictionary<string, SettingValue>.Empty.WithComparers(StringComparer.Ordinal));

    private readonly ImmutableSortedDictionary<string, SettingValue> _values;
    private readonly string _key;

    private SessionSettings(ImmutableSortedDictionary<string, SettingValue> values)
    {
        _values = values;
        var key = new StringBuilder();
        var meaning = new StringBuilder();
        foreach (var (name, value) in values)
        {
            var start = key.Length;
            key.Append(name).Append('\0').Append(value.IsConfigText ? 'c' : 's').Append(value.Text).Append('\0');
            if (DecidesMeaning(name))
            {
                meaning.Append(key, start, key.Length - start);
            }
        }

        _key = key.ToString();
        Meaning = meaning.ToString();
    }

    public bool IsEmpty => _values.IsEmpty;

    /// <summary>
    /// Those that decide what a text means when it is parsed, as one string: which tables it names, and what its literals say, which become values
    /// then. Empty when none is set. The same text under another meaning is another statement.
    /// </summary>
    public string Meaning { get; }

    /// <summary>Names of the parameters, in order.</summary>
    public IEnumerable<string> Names => _values.Keys;

    /// <summary>A parameter's value, or null when the client has not set it.</summary>
    public SettingValue? this[string name] => _values.TryGetValue(name, out var value) ? value : null;

    /// <summary>Statements run as another user than the one who logged in.</summary>
    public bool ChangesUser => _values.ContainsKey(Role) || _values.ContainsKey(SessionAuthorization);

    /// <summary>The map with a parameter set to SQL text.</summary>
    public SessionSettings With(string name, string valueSql) => With(name, new SettingValue(valueSql, IsConfigText: false));

    /// <summary>The map with a parameter set to a value.</summary>
    public SessionSettings With(string name, SettingValue value) => new(_values.SetItem(name, value));

    /// <summary>The map without a parameter.</summary>
    public SessionSettings Without(string name) => _values.ContainsKey(name) ? new(_values.Remove(name)) : this;

    /// <summary>
    /// What RESET ALL leaves: the start-up parameters, and whom the session acts as, which it does not touch (PostgreSQL documentation,
    /// "RESET").
    /// </summary>
    public SessionSettings ResetAll(SessionSettings startup)
    {
        var reset = startup;
        foreach (var name in (ReadOnlySpan<string>)[Role, SessionAuthorization])
        {
            reset = this[name] is { } kept ? reset.With(name, kept) : reset;
        }

        return reset;
    }

    /// <summary>Same parameters with the same texts.</summary>
    public bool SameAs(SessionSettings other) => ReferenceEquals(this, other) || string.Equals(_key, other._key, StringComparison.Ordinal);

    /// <summary>
    /// The SQL that brings a server from <paramref name="present"/> to this map. The user comes last, and is taken back first: the other
    /// parameters were set with the rights of an earlier one.
    /// </summary>
    public string TransitionFrom(SessionSettings present)
    {
        var sql = new StringBuilder();
        if (present.ChangesUser)
        {
            sql.Append("RESET SESSION AUTHORIZATION; RESET ROLE; ");
        }

        foreach (var (name, _) in present._values)
        {
            if (!_values.ContainsKey(name) && !IsUser(name))
            {
                sql.Append(ResetSql(name)).Append("; ");
            }
        }

        foreach (var (name, value) in _values)
        {
            if (!IsUser(name) && present[name] != value)
            {
                sql.Append(SetSql(name, value)).Append("; ");
            }
        }

        // Setting the session's user ends its role.
        foreach (var name in (ReadOnlySpan<string>)[SessionAuthorization, Role])
        {
            if (this[name] is { } user)
            {
                sql.Append(SetSql(name, user)).Append("; ");
            }
        }

        return sql.ToString();
    }

    /// <summary>The SQL that sets one parameter for the session, or for the transaction.</summary>
    public static string SetSql(string name, SettingValue value, bool isLocal = false) => value.IsConfigText
        ? $"SELECT pg_catalog.set_config({SqlIdentifier.Literal(name)}, {SqlIdentifier.Literal(value.Text)}, {(isLocal ? "true" : "false")})"
        : $"SET {(isLocal ? "LOCAL " : "")}{Target(name)} TO {value.Text}";

    /// <summary>The SQL that takes one parameter back.</summary>
    public static string ResetSql(string name) => $"RESET {Target(name)}";

    /// <summary>The name is one that extensions and applications make up: no server need know it.</summary>
    public static bool IsCustom(string name) => name.Contains('.', StringComparison.Ordinal);

    private static bool DecidesMeaning(string name) => name is "search_path" or "client_encoding" or "timezone" or "timezone_abbreviations" or "datestyle" or "intervalstyle"
        or "lc_monetary" or "xmloption" or "array_nulls" or "transform_null_equals" or "standard_conforming_strings" or "backslash_quote";

    private static bool IsUser(string name) => name is Role or SessionAuthorization;

    // Custom parameters have a dot.
    private static string Target(string name) => string.Join('.', name.Split('.').Select(SqlIdentifier.Quote));
}
