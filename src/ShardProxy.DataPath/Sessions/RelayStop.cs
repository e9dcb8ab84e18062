namespace ShardProxy.DataPath.Sessions;

/// <summary>Why a relay returned.</summary>
internal enum RelayStop
{
    /// <summary>Nothing is owed any more.</summary>
    Done,

    /// <summary>The server waits for COPY data from the client.</summary>
    CopyIn,

    /// <summary>The read was cancelled by the caller before anything more came.</summary>
    Interrupted,

    /// <summary>The server's connection ended.</summary>
    ServerLost,
}
