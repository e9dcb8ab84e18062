namespace ShardProxy.Sql;

/// <summary>The name of a database object as written, folded.</summary>
public readonly record struct ObjectName(string? Schema, string Name);
