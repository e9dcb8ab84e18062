namespace ShardProxy.Model.Routing;

/// <summary>A known point of a RANGE group's key space and its place among the positions.</summary>
/// <param name="Position">Above <see cref="long.MinValue"/>, the position of all keys below the first mark.</param>
/// <param name="Bound">The keys from here on have this position, up to the next mark.</param>
public sealed record KeyMark(long Position, KeyBound Bound);
