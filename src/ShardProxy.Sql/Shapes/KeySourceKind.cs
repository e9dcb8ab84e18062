namespace ShardProxy.Sql;

/// <summary>Where a constant comes from.</summary>
public enum KeySourceKind : byte
{
    /// <summary>A literal of the statement text.</summary>
    Literal,

    /// <summary>A parameter of the extended protocol.</summary>
    Parameter,

    /// <summary>NULL: an equality with it is true for no row.</summary>
    Null,
}
