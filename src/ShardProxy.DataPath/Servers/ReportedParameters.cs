using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;
using ShardProxy.Wire.Framing;

namespace ShardProxy.DataPath.Servers;

/// <summary>
/// The run-time parameters a server reports by itself (PostgreSQL documentation, "Asynchronous Operations"), immutable. Sets with the same
/// values are one object, so that who was told what is compared by reference.
/// </summary>
internal sealed class ReportedParameters
{
    // A client makes new sets only by new values of a dozen parameters; past the bound equal sets are merely compared by content.
    private const int MaxShared = 10_000;

    private readonly ConcurrentDictionary<string, ReportedParameters> _shared;
    private readonly ImmutableSortedDictionary<string, string> _values;

    private ReportedParameters(ImmutableSortedDictionary<string, string> values, ConcurrentDictionary<string, ReportedParameters> shared)
    {
        _values = values;
        _shared = shared;
        HasBackslashEscapes = values.GetValueOrDefault("standard_conforming_strings") is "off";
        IsUtc = values.GetValueOrDefault("TimeZone") is "UTC" or "Etc/UTC" or "GMT" or "Etc/GMT";
    }

    /// <summary>No parameter; the root of a family of sets that are compared with each other.</summary>
    public static ReportedParameters NewFamily() => new(ImmutableSortedDictionary<string, string>.Empty.WithComparers(StringComparer.Ordinal), new(StringComparer.Ordinal));

    public IEnumerable<KeyValuePair<string, string>> All => _values;

    /// <summary>A backslash escapes in plain literals: <c>standard_conforming_strings</c> is off.</summary>
    public bool HasBackslashEscapes { get; }

    /// <summary>Moments without an offset are UTC.</summary>
    public bool IsUtc { get; }

    public string? this[string name] => _values.GetValueOrDefault(name);

    /// <summary>With what a ParameterStatus message says.</summary>
    /// <exception cref="ProtocolException">It is malformed.</exception>
    public ReportedParameters With(ReadOnlySpan<byte> payload)
    {
        var reader = new PayloadReader(payload);
        var name = Encoding.UTF8.GetString(reader.ReadCString());
        return With(name, Encoding.UTF8.GetString(reader.ReadCString()));
    }

    private ReportedParameters With(string name, string value)
    {
        var values = _values.SetItem(name, value);
        if (ReferenceEquals(values, _values))
        {
            return this;
        }

        var key = string.Join('\0', values.Select(v => $"{v.Key}\0{v.Value}"));
        return _shared.TryGetValue(key, out var shared) ? shared
            : _shared.Count >= MaxShared ? new ReportedParameters(values, _shared)
            : _shared.GetOrAdd(key, static (_, s) => new ReportedParameters(s.Values, s.Family), (Values: values, Family: _shared));
    }
}
