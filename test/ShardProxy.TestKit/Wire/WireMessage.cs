namespace ShardProxy.TestKit.Wire;

/// <summary>One message as it came over the wire.</summary>
/// <param name="Type">The type byte; NUL for a message of the start-up family.</param>
/// <param name="Body">What follows the length.</param>
public sealed record WireMessage(char Type, byte[] Body)
{
    /// <summary>Type, honest length and body again.</summary>
    public byte[] ToBytes() => new MessageBuilder(Type == '\0' ? null : Type).Bytes(Body).ToArray();
}
