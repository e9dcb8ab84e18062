namespace ShardProxy.Sql;

/// <summary>The parts of a transaction statement.</summary>
/// <param name="Verb">Which one.</param>
/// <param name="Chain">AND CHAIN.</param>
/// <param name="Name">Savepoint name, or the identifier of a prepared transaction.</param>
/// <param name="HasOptions">BEGIN has transaction modes.</param>
/// <param name="OptionsText">The modes in canonical form, such as <c>ISOLATION LEVEL REPEATABLE READ READ ONLY</c>; null when none.</param>
public sealed record TransactionSummary(TransactionVerb Verb, bool Chain, string? Name, bool HasOptions, string? OptionsText);
