namespace ShardProxy.Configuration;

/// <summary>A text that must not be printed by accident. Equal to another of the same text.</summary>
internal sealed class Secret(string text) : IEquatable<Secret>
{
    /// <summary>The text itself, for the place that has to send it.</summary>
    public string Reveal() => text;

    public override string ToString() => "********";

    public bool Equals(Secret? other) => other is not null && string.Equals(text, other.Reveal(), StringComparison.Ordinal);

    public override bool Equals(object? obj) => Equals(obj as Secret);

    public override int GetHashCode() => text.GetHashCode(StringComparison.Ordinal);
}
