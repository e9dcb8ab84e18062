using ShardProxy.DataPath.Servers;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Where a session stands, as its client sees it.</summary>
internal enum BlockState
{
    Idle,
    InBlock,
    Failed,
}

/// <summary>A savepoint, and what has to be restored when the client rolls back to it.</summary>
internal sealed record SessionSavepoint(string Name, SessionSettings Settings, int SettingCount);

/// <summary>
/// The transaction of one session over any number of nodes. A node joins when a statement first needs it: BEGIN, the savepoints and
/// the SETs so far are sent to it in front of that statement.
/// </summary>
internal sealed class SessionTransaction
{
    private readonly List<ServerConnection> _participants = [];
    private readonly List<SessionSavepoint> _savepoints = [];
    private readonly List<string> _settings = [];
    private readonly List<ServerConnection> _withSettings = [];

    private ServerConnection? _momentSource;

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

    /// <summary>SET, SET LOCAL and RESET so far.</summary>
    public int SettingCount => _settings.Count;

    /// <summary>The server on which a function has set parameters in this block.</summary>
    public ServerConnection? SettingsSource { get; private set; }

    /// <summary>A function may have set parameters in this block, and nobody has read them back yet.</summary>
    public bool HasUnreadSettings { get; private set; }

    /// <summary>In this block names without schema may be looked up elsewhere than in public.</summary>
    public bool HasUnusualPath { get; private set; }

    /// <summary>The parameters read back from <see cref="SettingsSource"/>.</summary>
    public SessionSettings BlockSettings { get; private set; } = SessionSettings.Empty;

    /// <summary>SET LOCAL has run.</summary>
    public void NoteLocalSetting(string name, string? valueSql) =>
        HasUnusualPath |= name is SessionSettings.Role or SessionSettings.SessionAuthorization
            || (name is "search_path" && (valueSql is null || !SearchPath.IsPublic(SessionSettings.Empty.With(name, valueSql))));

    /// <summary>A function may have set parameters on a server.</summary>
    public void NoteSettings(ServerConnection source)
    {
        _withSettings.Clear();
        _withSettings.Add(source);
        SettingsSource = source;
        HasUnreadSettings = true;
    }

    /// <summary>They were read back.</summary>
    public void TakeSettings(SessionSettings settings)
    {
        BlockSettings = settings;
        HasUnreadSettings = false;
        HasUnusualPath |= !SearchPath.IsPublic(settings);
    }

    /// <summary>The server has all parameters that functions have set in this block.</summary>
    public bool HasSettingsOn(ServerConnection server) => SettingsSource is null || _withSettings.Contains(server);

    /// <summary>It was given them.</summary>
    public void SettingsAreOn(ServerConnection server) => _withSettings.Add(server);

    /// <summary>The session's settings at the begin: restored by a rollback.</summary>
    public SessionSettings SettingsAtBegin { get; private set; } = SessionSettings.Empty;

    /// <summary>DDL that concerns placement ran in it.</summary>
    public bool ChangesSchema { get; set; }

    /// <summary>What now() says in it, once somebody has asked.</summary>
    public string? Moment { get; private set; }

    /// <summary>Where now() says that by itself: the server it was read from, else the one that joined first; null: no server has joined.</summary>
    public ServerConnection? MomentSource => _momentSource ?? (_participants.Count > 0 ? _participants[0] : null);

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

    /// <summary>In a failed block nothing else is done: what ends the block, or goes back in it.</summary>
    public static bool LeavesFailedBlock(StatementShape shape) => shape.Transaction is
    { Verb: TransactionVerb.Commit or TransactionVerb.Rollback or TransactionVerb.RollbackToSavepoint or TransactionVerb.Prepare };

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

    /// <summary>The moment was read.</summary>
    public void NoteMoment(string moment, ServerConnection source) => (Moment, _momentSource) = (moment, source);

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

    public void AddSavepoint(string name, SessionSettings settings) => _savepoints.Add(new SessionSavepoint(name, settings, _settings.Count));

    /// <summary>Index of the innermost savepoint of that name, or -1.</summary>
    public int FindSavepoint(string name) => _savepoints.FindLastIndex(s => string.Equals(s.Name, name, StringComparison.Ordinal));

    /// <summary>Drops savepoints from an index on.</summary>
    public void CutSavepoints(int from) => _savepoints.RemoveRange(from, _savepoints.Count - from);

    public void AddSetting(string sql) => _settings.Add(sql);

    public void CutSettings(int from) => _settings.RemoveRange(from, _settings.Count - from);

    /// <summary>SET, SET LOCAL and RESET so far, in their order, each with its semicolon.</summary>
    public string SettingsSql => string.Concat(_settings.Select(s => s + "; "));

    /// <summary>What a node that joins now must run first.</summary>
    public string JoinSql(Func<string, string> quote)
    {
        if (_savepoints.Count == 0 && _settings.Count == 0)
        {
            return BeginSql;
        }

        var sql = new List<string> { BeginSql };
        var settings = 0;
        foreach (var savepoint in _savepoints)
        {
            for (; settings < savepoint.SettingCount; settings++)
            {
                sql.Add(_settings[settings]);
            }

            sql.Add($"SAVEPOINT {quote(savepoint.Name)}");
        }

        for (; settings < _settings.Count; settings++)
        {
            sql.Add(_settings[settings]);
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
        _participants.ForEach(static p => p.TypesInBlock = null);
        _participants.Clear();
        _savepoints.Clear();
        _settings.Clear();
        _withSettings.Clear();
        SettingsSource = null;
        HasUnreadSettings = false;
        HasUnusualPath = false;
        Moment = null;
        _momentSource = null;
        BeginSql = "BEGIN";
        HasPlainBegin = true;
        ChangesSchema = false;
    }
}
