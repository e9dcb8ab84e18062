using ShardProxy.Model.Errors;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Cuts COPY data into rows and finds each row's node by its key. Rows may begin and end anywhere in the messages. Memory is bounded by
/// the longest row.
/// </summary>
internal interface ICopySplitter
{
    /// <summary>Why data was not taken.</summary>
    ShardProxyError Refusal { get; }

    /// <summary>Bytes of a row that has begun and not ended.</summary>
    int PartialBytes { get; }

    /// <summary>
    /// Takes data in and hands out whole pieces of it in order, byte for byte: node id, or 0 for what every node must get (headers, the end mark).
    /// Data that PostgreSQL will refuse goes to the home node, which has the right words for it. False when a row's node cannot be proven.
    /// </summary>
    bool Add(ReadOnlySpan<byte> data, Action<int, ReadOnlySpan<byte>> row);

    /// <summary>The data is over: what is left is handed out too.</summary>
    bool Finish(Action<int, ReadOnlySpan<byte>> row);
}
