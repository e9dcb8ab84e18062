namespace ShardProxy.Catalog.Stores.Etcd;

/// <summary>etcd did not do what it was asked.</summary>
/// <param name="message">What it said, without keys and values.</param>
/// <param name="isDefinite">It was not done for certain; else a write may have been done or may still be.</param>
/// <param name="inner">What is behind it.</param>
public sealed class EtcdException(string message, bool isDefinite, Exception? inner = null) : IOException(message, inner)
{
    public bool IsDefinite { get; } = isDefinite;
}
