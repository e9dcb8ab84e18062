namespace ShardProxy.Model.Fleet;

/// <summary>
/// How the data path knows the error of a range's gate (DESIGN section 6): SQLSTATE <c>P0004</c>, which <c>EXCEPTION WHEN OTHERS</c> does not
/// swallow, and this name in the error's CONSTRAINT field.
/// </summary>
public static class GateMarker
{
    /// <summary>SQLSTATE of the error.</summary>
    public const string SqlState = "P0004";

    /// <summary>Value of the error's CONSTRAINT field ('n' in the protocol).</summary>
    public const string ConstraintName = "shardproxy_gate";
}
