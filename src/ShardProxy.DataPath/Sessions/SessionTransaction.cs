using ShardProxy.DataPath.Servers;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Where a session stands, as its client sees it.</summary>
internal enum BlockState
{
    Idle,
    InBlock,
    Failed,
}

/// <summary>A savepoint, and what has to be restored when the client rolls back to it.</summary>
internal sealed record SessionSavepoint(string Name, SessionSettings Settings, int LocalSettings);

/// <summary>
/// The transaction of one session over any number of nodes. A node joins when a statement first needs it: BEGIN, the savepoints and
/// the SET LOCALs so far are sent to it in front of that statement.
/// </summary>
internal sealed class SessionTransaction
{
    private readonly List<ServerConnection> _participants = [];
    private readonly List<SessionSavepoint> _savepoints = [];
    private readonly List<string> _localSettings = [];

    public BlockState State { get; set; }

    /// <summary>The proxy opened the block around one statement that runs on several nodes; the client does not see it.</summary>
    public bool IsImplicit { get; private set; }

    /// <summary>BEGIN with the client's options.</summary>
    public string BeginSql { get; private set; } = "BEGIN";

    /// <summary>BEGIN cannot fail, so it may be sent together with the first statement.</summary>
    public bool HasPlainBegin { get; private set; } = true;

    /// <summary>Servers that have joined.</summary>
    public IReadOnlyList<ServerConnection> Participants => _participants;

    public IReadOnlyList<SessionSavepoint> Savepoints => _savepoints;

    public int LocalSettingCount => _localSettings.Count;

    /// <summary>The session's settings at the begin: restored by a rollback.</summary>
    public SessionSettings SettingsAtBegin { get; private set; } = SessionSettings.Empty;

    /// <summary>DDL that concerns placement ran in it.</summary>
    public bool ChangesSchema { get; set; }

    /// <summary>Counts transactions, implicit ones included: what belongs to a transaction remembers its number.</summary>
    public long Number { get; private set; }

    /// <summary>A server that had joined was lost, and its part with it: the block can only be rolled back. The node's name.</summary>
    public string? LostNode { get; set; }

    /// <summary>Status byte of ReadyForQuery.</summary>
    public byte StatusByte => IsImplicit ? (byte)'I' : State switch
    {
        BlockState.Idle => (byte)'I',
        BlockState.InBlock => (byte)'T',
        _ => (byte)'E',
    };

    /// <summary>Opens a block.</summary>
    public void Begin(SessionSettings settings, string? options, bool isImplicit)
    {
        State = BlockState.InBlock;
        IsImplicit = isImplicit;
        BeginSql = options is null ? "BEGIN" : $"BEGIN {options}";
        HasPlainBegin = options is null;
        SettingsAtBegin = settings;
        ChangesSchema = false;
    }

    public void Join(ServerConnection server) => _participants.Add(server);

    /// <summary>Takes a server out; true when it had joined.</summary>
    public bool Leave(ServerConnection server) => _participants.Remove(server);

    /// <summary>A transaction that had no block has ended.</summary>
    public void EndImplicit() => Number++;

    /// <summary>The client's block is open on this node and on no other, and stands there as it stands here.</summary>
    public bool IsWholeOn(int nodeId) =>
        !IsImplicit && _participants.Count == 1 && _participants[0].Node.Id == nodeId && (State == BlockState.InBlock || _participants[0].Status == (byte)'E');

    public ServerConnection? Find(int nodeId)
    {
        foreach (var server in _participants)
        {
            if (server.Node.Id == nodeId)
            {
                return server;
            }
        }

        return null;
    }

    public void AddSavepoint(string name, SessionSettings settings) => _savepoints.Add(new SessionSavepoint(name, settings, _localSettings.Count));

    /// <summary>Index of the innermost savepoint of that name, or -1.</summary>
    public int FindSavepoint(string name) => _savepoints.FindLastIndex(s => string.Equals(s.Name, name, StringComparison.Ordinal));

    /// <summary>Drops savepoints from an index on.</summary>
    public void CutSavepoints(int from) => _savepoints.RemoveRange(from, _savepoints.Count - from);

    public void AddLocalSetting(string sql) => _localSettings.Add(sql);

    public void CutLocalSettings(int from) => _localSettings.RemoveRange(from, _localSettings.Count - from);

    /// <summary>What a node that joins now must run first.</summary>
    public string JoinSql(Func<string, string> quote)
    {
        if (_savepoints.Count == 0 && _localSettings.Count == 0)
        {
            return BeginSql;
        }

        var sql = new List<string> { BeginSql };
        var settings = 0;
        foreach (var savepoint in _savepoints)
        {
            for (; settings < savepoint.LocalSettings; settings++)
            {
                sql.Add(_localSettings[settings]);
            }

            sql.Add($"SAVEPOINT {quote(savepoint.Name)}");
        }

        for (; settings < _localSettings.Count; settings++)
        {
            sql.Add(_localSettings[settings]);
        }

        return string.Join("; ", sql);
    }

    /// <summary>The block is over; participants are the caller's to release.</summary>
    public void End()
    {
        State = BlockState.Idle;
        IsImplicit = false;
        LostNode = null;
        Number++;
        _participants.Clear();
        _savepoints.Clear();
        _localSettings.Clear();
        BeginSql = "BEGIN";
        HasPlainBegin = true;
        ChangesSchema = false;
    }
}
