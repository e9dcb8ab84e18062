namespace ShardProxy.Planning.Placement;

/// <summary>A move the planner considers: a whole piece, or what a cut leaves on one side of it.</summary>
/// <param name="Whole">The piece as it is.</param>
/// <param name="CutAt">Bucket of the piece the cut lies before, or 0 for no cut.</param>
/// <param name="TakesLower">With a cut: whether the lower half moves.</param>
/// <param name="Moved">What moves.</param>
/// <param name="Target">Index of the node it goes to.</param>
/// <param name="Ready">First step at which it is there.</param>
/// <param name="Gain">How much badness it takes away.</param>
internal sealed record Candidate(Piece Whole, int CutAt, bool TakesLower, Piece Moved, int Target, int Ready, double Gain);
