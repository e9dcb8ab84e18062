namespace ShardProxy.Sql;

/// <summary>Tokens of a statement by their ordinals, which are the same in every text of a shape.</summary>
/// <param name="First">The first token.</param>
/// <param name="Last">The last token.</param>
public readonly record struct TokenRange(int First, int Last);
