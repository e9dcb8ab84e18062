namespace ShardProxy.Wire.Transport;

/// <summary>Settings of the transports.</summary>
public sealed record SocketTransportOptions
{
    /// <summary>Unexamined bytes from the peer above which the socket is no longer read.</summary>
    public int ReadThresholdBytes { get; init; } = 64 * 1024;

    /// <summary>Unsent bytes to the peer above which a flush waits.</summary>
    public int WriteThresholdBytes { get; init; } = 64 * 1024;

    /// <summary>Connections the system holds before they are accepted.</summary>
    public int Backlog { get; init; } = 1024;

    /// <summary>How long disposing a connection waits for its last bytes to be sent before it aborts.</summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Idle time before the first TCP keep-alive probe, whole seconds.</summary>
    public int KeepAliveTimeSeconds { get; init; } = 60;

    /// <summary>Time between probes, whole seconds.</summary>
    public int KeepAliveIntervalSeconds { get; init; } = 10;

    /// <summary>Unanswered probes after which the connection is broken.</summary>
    public int KeepAliveProbes { get; init; } = 6;

    /// <summary>Threads that poll sockets; 0 for one for two processors. Kestrel's transport has its own way.</summary>
    public int EventLoops { get; init; }

    /// <summary>Clock for the timeouts.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;
}
