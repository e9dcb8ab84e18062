using System.IO.Pipelines;
using ShardProxy.DataPath.Execution;
using ShardProxy.DataPath.Login;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Topology;
using ShardProxy.Sql;
using ShardProxy.Wire.Transport;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// The truth about one logged-in client: who it is, what it has set, what is open for it. The rooms that run its statements get
/// this; none of them calls back.
/// </summary>
internal sealed class Session
{
    private readonly Lock _busyLock = new();
    private readonly List<ServerConnection> _held = [];
    private BackendPool? _pool;
    private long _stateSince;
    private long _waitingSince;
    private SessionSettings? _pathSettings;
    private SessionSettings? _stalenessSettings;
    private long _readStaleness;
    private bool _hasPublicPath;
    private long _transactionSince;
    private volatile EndRequest? _end;

    public Session(DataPathServices services, ITransportConnection connection, ClientIdentity identity, int processId, int secret)
    {
        Services = services;
        Connection = connection;
        Identity = identity;
        ProcessId = processId;
        Secret = secret;
        Input = new MessageReader(connection.Input, services.Options.MaxMessageBytes);
        Relay = new ReplyRelay(connection.Output);
        Activity = services.Board.Add();
        ConnectedAt = services.Time.GetUtcNow();
        _stateSince = services.Time.GetTimestamp();
        MaxUnsentBytes = services.Options.MaxUnsentBytes;
        IsSharded = string.Equals(identity.Database, services.Options.Database, StringComparison.Ordinal);
    }

    public DataPathServices Services { get; }

    public ITransportConnection Connection { get; }

    public ClientIdentity Identity { get; }

    /// <summary>First half of the cancel key given to the client.</summary>
    public int ProcessId { get; }

    /// <summary>Second half of it.</summary>
    public int Secret { get; }

    public MessageReader Input { get; }

    public PipeWriter Output => Connection.Output;

    public ReplyRelay Relay { get; }

    /// <summary>Bytes written to a server or to the client above which they are sent without being asked for.</summary>
    public int MaxUnsentBytes { get; }

    public SessionActivity Activity { get; }

    public SessionTransaction Transaction { get; } = new();

    /// <summary>What the client has set.</summary>
    public SessionSettings Settings { get; set; } = SessionSettings.Empty;

    /// <summary>The map a RESET ALL goes back to: the startup packet's parameters.</summary>
    public SessionSettings StartupSettings { get; set; } = SessionSettings.Empty;

    /// <summary>The client's named prepared statements.</summary>
    public PreparedStatements Prepared { get; } = new();

    /// <summary>The open transaction has run DDL: when it ends, the texts of statements may mean something else for everybody.</summary>
    public bool ChangesMeaning { get; set; }

    /// <summary>Errors of the proxy's writing so far.</summary>
    public long Errors { get; private set; }

    /// <summary>Literals of the statement at hand.</summary>
    public LiteralList Literals { get; } = new();

    /// <summary>Ranges of the statement at hand.</summary>
    public TouchSet Touches { get; } = new();

    /// <summary>The session is on the sharded database; on any other, everything goes to the home node.</summary>
    public bool IsSharded { get; }

    /// <summary>
    /// No table is placed, or none of this database can be: the home node is the whole database. It answers everything itself then, transaction
    /// control and SET included; the proxy only follows what became of them. A block that began otherwise, or has gone to another node, ends as it began.
    /// </summary>
    public bool IsTransparent =>
        (!IsSharded || Services.Holder.Current.Tables.IsEmpty)
        && (Transaction.State == BlockState.Idle || Transaction.IsWholeOn(HomeNode.Id));

    /// <summary><c>standard_conforming_strings</c> is off, as the client was told last.</summary>
    public bool HasBackslashEscapes => Relay.Told is { HasBackslashEscapes: true };

    /// <summary>Unqualified names mean schema public.</summary>
    public bool HasDefaultSearchPath
    {
        get
        {
            if (!ReferenceEquals(_pathSettings, Settings))
            {
                _pathSettings = Settings;
                _hasPublicPath = SearchPath.IsPublic(Settings);
            }

            return _hasPublicPath && !Transaction.HasUnreadSettings && !Transaction.HasUnusualPath && !Services.SearchPath.IsUnusual(Identity.User);
        }
    }

    /// <summary>The server this session keeps, because it holds state that cannot be carried to another; the first if there are several.</summary>
    public ServerConnection? Pinned { get; private set; }

    public string PinReason => Pinned is { } pinned ? StateRules.Describe(pinned.Found) : "";

    /// <summary>The server on which the session last ran a statement that may have drawn from a sequence.</summary>
    public ServerConnection? SequenceServer { get; set; }

    /// <summary>Numbers drawn for it by the proxy itself.</summary>
    public DrawnNumbers DrawnNumbers { get; } = new();

    /// <summary>The server the next lease should get, if it is idle.</summary>
    public ServerConnection? NextServer { get; set; }

    /// <summary>Where its SQL cursors are; made with the first.</summary>
    public CursorNodes? Cursors { get; set; }

    /// <summary>Results over several nodes that the client takes in pieces; made with the first.</summary>
    public OpenResults? OpenResults { get; set; }

    /// <summary>What the open transaction has made that the catalog does not know yet; null when nothing.</summary>
    public UnseenCode? Unseen { get; set; }

    /// <summary>The node for a statement: its cursor's, or the one it was routed to.</summary>
    public Node NodeFor(StatementShape shape, Node routed) => (CursorNodes.Concerns(shape) ? (Cursors ??= new CursorNodes()).Find(this, shape) : null) ?? routed;

    /// <summary>How old what plain reads return may be, in units of the clock's timestamps; 0 when it must be the present.</summary>
    public long ReadStaleness
    {
        get
        {
            if (!ReferenceEquals(_stalenessSettings, Settings))
            {
                _stalenessSettings = Settings;
                _readStaleness = Settings[Routing.ReadStaleness.Name] is { } value
                    ? (long)((Routing.ReadStaleness.Parse(value.Text)?.TotalSeconds ?? 0) * Services.Time.TimestampFrequency) : 0;
            }

            return _readStaleness;
        }
    }

    /// <summary>Something that may have written was sent since <see cref="WroteUntil"/> was noted.</summary>
    public bool HasWritten { get; set; } = true;

    /// <summary>Timestamp at which everything that it had written before was over.</summary>
    public long WroteUntil { get; set; }

    /// <summary>Statements before the one at hand are part of the same implicit transaction, or of the same string.</summary>
    public bool IsMidway { get; set; }

    /// <summary>Set while the statement at hand is to be planned again because a closed write gate has stopped it.</summary>
    public Fence? Fence { get; set; }

    /// <summary>Custom parameters to look up when the servers are asked.</summary>
    public CustomParameters CustomParameters { get; } = new();

    /// <summary>One of the held servers is suspected to hold state of the session.</summary>
    public bool HasSuspicion { get; set; }

    /// <summary>Set when the session cannot go on: the client has been told, and its connection ends.</summary>
    public bool IsDoomed { get; set; }

    /// <summary>The server whose process id the client was told, so that <c>pg_backend_pid()</c> is that one whenever it can be; null when none was free.</summary>
    public ServerConnection? Assigned { get; set; }

    /// <summary>First half of the cancel key the client was told.</summary>
    public int KeyProcessId { get; set; }

    public DateTimeOffset ConnectedAt { get; }

    public long StateSince => Volatile.Read(ref _stateSince);

    public long Statements { get; set; }

    /// <summary>Active, idle or held, for SHOW SESSIONS.</summary>
    public string State { get; private set; } = "idle";

    /// <summary>The pool of a node for this session. The last one is remembered: most sessions use one.</summary>
    public BackendPool PoolOf(Node node) =>
        _pool is { IsRetired: false } pool && pool.Key.NodeId == node.Id ? pool : _pool = Services.Pools.Get(node, Identity.Database, Identity.User);

    /// <summary>What somebody else wants of it, or null.</summary>
    public EndRequest? EndAsked => _end;

    /// <summary>The client has been told ReadyForQuery and has sent nothing since that was not answered.</summary>
    public bool IsReady { get; set; }

    /// <summary>State time-stamp of the statement that was last cancelled for taking too long.</summary>
    public long LastTimeout { get; set; }

    /// <summary>Timestamp of the first statement of its open transaction; 0 when there is none.</summary>
    public long TransactionSince => Volatile.Read(ref _transactionSince);

    /// <summary>Asks it to end as soon as the request allows. Thread-safe.</summary>
    public void AskToEnd(EndRequest request)
    {
        _end = request;
        Input.Interrupt();
    }

    /// <summary>Called by the session itself where it could end now.</summary>
    /// <exception cref="SessionStoppedException">It has to.</exception>
    public void ThrowIfAskedToEnd()
    {
        if (_end is not { } end)
        {
            return;
        }

        if (end.StateSince is { } since && since != StateSince)
        {
            // The client has spoken just in time.
            _end = null;
        }
        else if (!end.AfterTransaction || (IsReady && Transaction.State == BlockState.Idle))
        {
            throw new SessionStoppedException(end.Error);
        }
    }

    /// <summary>
    /// Marks a server as cancelled if this session still holds it, and if it is at work or that does not matter: it never goes back to the
    /// pool then. Thread-safe.
    /// </summary>
    public bool TryMarkCancelled(ServerConnection server, bool evenIfIdle)
    {
        lock (_busyLock)
        {
            if (!_held.Contains(server) || (!evenIfIdle && server.Owed.Count == 0))
            {
                return false;
            }

            server.WasCancelled = true;
            return true;
        }
    }

    /// <summary>Timestamp since which it waits for a server connection; 0 when it does not.</summary>
    public long WaitingSince => Volatile.Read(ref _waitingSince);

    public void BeginWait() => Volatile.Write(ref _waitingSince, Services.Time.GetTimestamp());

    public void EndWait() => Volatile.Write(ref _waitingSince, 0);

    /// <summary>Servers held now, as a copy: for cancel requests and views from other threads.</summary>
    public ServerConnection[] HeldServers()
    {
        lock (_busyLock)
        {
            return [.. _held];
        }
    }

    public void Hold(ServerConnection server)
    {
        lock (_busyLock)
        {
            _held.Add(server);
        }
    }

    public void Unhold(ServerConnection server)
    {
        lock (_busyLock)
        {
            _held.Remove(server);
        }
    }

    /// <summary>Servers held now.</summary>
    public int HeldCount => _held.Count;

    /// <summary>One of them, by its place. For the session itself, which alone changes the list: it does so under the lock and reads without.</summary>
    public ServerConnection Held(int index) => _held[index];

    /// <summary>The one on a node that is not a workspace, or null. For the session itself.</summary>
    public ServerConnection? FindHeld(int nodeId)
    {
        foreach (var server in _held)
        {
            if (server.Node.Id == nodeId && !server.Key.IsWorkspace)
            {
                return server;
            }
        }

        return null;
    }

    /// <summary>
    /// Keeps a server for this client alone from now on. Another one is kept beside the first, which stays the one for statements that any
    /// node can run.
    /// </summary>
    public void Pin(ServerConnection server, StateKinds kinds)
    {
        server.IsPinned = true;
        server.Found |= kinds;
        Pinned ??= server;
    }

    /// <summary>The server holds nothing of the session any more, or is gone.</summary>
    public void Unpin(ServerConnection server)
    {
        server.IsPinned = false;
        if (ReferenceEquals(server, Pinned))
        {
            Pinned = null;
            foreach (var held in HeldServers())
            {
                Pinned ??= held.IsPinned && !ReferenceEquals(held, server) ? held : null;
            }
        }
    }

    public void SetState(string state)
    {
        State = state;
        if (Transaction.State == BlockState.Idle)
        {
            _transactionSince = 0;
        }
        else if (_transactionSince == 0)
        {
            Volatile.Write(ref _transactionSince, _stateSince);
        }

        Volatile.Write(ref _stateSince, Services.Time.GetTimestamp());
    }

    /// <summary>Writes an error of ours and notes the failure in the transaction.</summary>
    public void Fail(ShardProxyError error)
    {
        Errors++;
        Services.Counters.AddClientError();
        Services.Counters.AddRefused(error.Code);

        ClientReplies.Error(Output, error);
        FailBlock();
    }

    /// <summary>Writes an error with PostgreSQL's wording and notes the failure in the transaction.</summary>
    public void Fail(string sqlState, string message)
    {
        Errors++;
        Services.Counters.AddClientError();
        ClientReplies.Error(Output, sqlState, message);
        FailBlock();
    }

    /// <summary>Passes a server's error on byte for byte and notes the failure in the transaction.</summary>
    public void Fail(byte[] errorPayload)
    {
        if (Relay.CancelReason is { } reason && Wire.Messages.ErrorFields.Read(errorPayload).SqlState == StopErrors.Cancelled)
        {
            // The server knows only that somebody asked.
            Relay.CancelReason = null;
            Fail(reason);
            return;
        }

        Errors++;
        Services.Counters.AddClientError();
        Wire.Messages.MessageWriter.Raw(Output, Wire.Messages.BackendTag.ErrorResponse, errorPayload);
        FailBlock();
    }

    /// <summary>A server's error was relayed for a statement that the proxy carries out itself.</summary>
    public void NoteServerError()
    {
        Errors++;
        Services.Counters.AddClientError();
        FailBlock();
    }

    /// <summary>An error in a block fails the block.</summary>
    public void FailBlock()
    {
        if (Transaction.State == BlockState.InBlock)
        {
            Transaction.State = BlockState.Failed;
        }
    }

    /// <summary>The home node in the current table.</summary>
    public Node HomeNode => Services.Holder.Current.HomeNode;
}
