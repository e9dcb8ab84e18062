namespace ShardProxy.Sql;

/// <summary>A function, aggregate or procedure a statement calls by name. Functions behind special syntax are not listed.</summary>
public sealed record FunctionUse(string? Schema, string Name);
