using System.Globalization;

namespace ShardProxy.Model.Fleet;

/// <summary>
/// How the data path knows the error of a range's gate (DESIGN section 6): SQLSTATE <c>P0004</c>, which <c>EXCEPTION WHEN OTHERS</c> does not
/// swallow, and this name in the error's CONSTRAINT field.
/// </summary>
public static class GateMarker
{
    /// <summary>SQLSTATE of the error.</summary>
    public const string SqlState = "P0004";

    /// <summary>Value of the error's CONSTRAINT field ('n' in the protocol), followed by a colon and the range where it is about one.</summary>
    public const string ConstraintName = "shardproxy_gate";

    /// <summary>The range that a gate's CONSTRAINT field names; 0 when it names none.</summary>
    public static int RangeOf(string constraint) =>
        constraint.Length > ConstraintName.Length + 1
        && constraint[ConstraintName.Length] == ':'
        && int.TryParse(constraint.AsSpan(ConstraintName.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var range)
            ? range : 0;
}
