namespace ShardProxy.Sql;

/// <summary>Other text for a part of a statement's text: see <see cref="WriteText.With"/>.</summary>
/// <param name="Start">Its first byte.</param>
/// <param name="End">The byte behind its last; the same as <paramref name="Start"/> for an insertion.</param>
/// <param name="Text">The text.</param>
public readonly record struct WritePatch(int Start, int End, string Text);
