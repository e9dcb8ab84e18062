namespace ShardProxy.LocalCluster;

/// <summary>How a server is stopped (PostgreSQL documentation, "Shutting Down the Server").</summary>
public enum StopMode
{
    /// <summary>SIGINT: ends sessions, writes a checkpoint. After a second turned into <see cref="Immediate"/>.</summary>
    Fast,

    /// <summary>SIGQUIT: as a crash; the next start recovers from the log.</summary>
    Immediate,

    /// <summary>SIGKILL to the postmaster: a real crash; the next start recovers from the log.</summary>
    Kill,
}
