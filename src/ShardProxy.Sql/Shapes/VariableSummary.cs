namespace ShardProxy.Sql;

/// <summary>The parts of SET, RESET and SHOW.</summary>
/// <param name="Verb">What is done.</param>
/// <param name="Name">
/// Folded name as PostgreSQL keeps it: <c>timezone</c> for TIME ZONE, <c>client_encoding</c> for NAMES, <c>search_path</c> for SCHEMA, <c>role</c>,
/// <c>session_authorization</c>; empty for ALL and transaction modes. Settings are case-insensitive.
/// </param>
/// <param name="ValueText">
/// SQL text that <c>SET name TO …</c> takes and that means the same, <c>DEFAULT</c> included; for transaction modes their canonical text. Null
/// where there is no value, or none that can be written so (TIME ZONE INTERVAL). Taken from this very statement text: shapes of
/// variable statements are never shared between different values.
/// </param>
public sealed record VariableSummary(VariableVerb Verb, string Name, string? ValueText);
