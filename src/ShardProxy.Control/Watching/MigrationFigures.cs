namespace ShardProxy.Control.Watching;

/// <summary>A migration under way, as its progress was watched.</summary>
/// <param name="Id">As in SHOW MIGRATIONS.</param>
/// <param name="RangeId">The range.</param>
/// <param name="State">The word of SHOW MIGRATIONS.</param>
/// <param name="IdleSeconds">Since its state or a count of its rows changed last.</param>
public sealed record MigrationFigures(int Id, int RangeId, string State, double IdleSeconds);
