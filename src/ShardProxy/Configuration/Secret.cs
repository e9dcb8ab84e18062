namespace ShardProxy.Configuration;

/// <summary>A text that must not be printed by accident.</summary>
internal sealed class Secret(string text)
{
    /// <summary>The text itself, for the place that has to send it.</summary>
    public string Reveal() => text;

    public override string ToString() => "********";
}
