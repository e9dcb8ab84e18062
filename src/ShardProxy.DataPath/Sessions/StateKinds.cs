namespace ShardProxy.DataPath.Sessions;

/// <summary>State of a session on one server that the next session must not meet.</summary>
[Flags]
internal enum StateKinds
{
    None = 0,

    /// <summary>Run-time parameters set by other means than SET: read back and carried from then on.</summary>
    Settings = 1,
    Temporary = 2,
    Listening = 4,
    AdvisoryLocks = 8,

    /// <summary>Cursors WITH HOLD.</summary>
    Cursors = 16,

    /// <summary>Statements of SQL-level PREPARE.</summary>
    Prepared = 32,

    /// <summary>Something no query shows, such as the seed of <c>random()</c>: the connection is closed after its session.</summary>
    Lasting = 64,

    /// <summary>Values drawn from sequences, which the session has asked for with <c>currval</c> or <c>lastval</c>.</summary>
    Sequences = 128,

    /// <summary>Nothing that is left: the session has asked which server process it has, and may name it to others.</summary>
    Server = 256,

    /// <summary>Code the proxy does not know may have left any of what a query shows.</summary>
    Anything = Settings | Temporary | Listening | AdvisoryLocks | Cursors | Prepared,

    /// <summary>What keeps the session on its server.</summary>
    Pinning = Temporary | Listening | AdvisoryLocks | Cursors | Prepared | Lasting | Sequences | Server,
}
