namespace ShardProxy.Model.Keys;

/// <summary>What a decoded key value is turned into. A struct, so that each use compiles to calls of its own.</summary>
internal interface IKeySink
{
    void Integer(long value);

    void Text(ReadOnlySpan<byte> utf8);

    void Uuid(ReadOnlySpan<byte> uuid);
}
