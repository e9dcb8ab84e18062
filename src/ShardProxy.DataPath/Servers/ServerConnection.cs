using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using ShardProxy.DataPath.Sessions;
using ShardProxy.DataPath.Types;
using ShardProxy.Model.Topology;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;
using ShardProxy.Wire.Transport;

namespace ShardProxy.DataPath.Servers;

/// <summary>
/// One logged-in connection to a node. Owned by its pool while idle and by exactly one session while leased; all members but
/// <see cref="Abort"/> are for the owner only.
/// </summary>
internal sealed class ServerConnection : IAsyncDisposable
{
    private readonly ITransportConnection _transport;
    private int _aborted;

    public ServerConnection(
        ITransportConnection transport, Node node, PoolKey key, int processId, int secret, ReportedParameters parameters, long openedAt)
    {
        _transport = transport;
        Node = node;
        Key = key;
        ProcessId = processId;
        Secret = secret;
        Parameters = parameters;
        OpenedAt = LoginProvenAt = openedAt;
    }

    public Node Node { get; }

    public PoolKey Key { get; }

    /// <summary>The server's process id: first half of its cancel key.</summary>
    public int ProcessId { get; }

    /// <summary>Second half of its cancel key.</summary>
    public int Secret { get; }

    /// <summary>Timestamp of the <see cref="TimeProvider"/> at which it was opened.</summary>
    public long OpenedAt { get; }

    /// <summary>Timestamp at which its user was last known to be allowed to open it; see <see cref="LoginRight"/>.</summary>
    public long LoginProvenAt { get; set; }

    /// <summary>The pool it belongs to; set once, when it has been opened for one.</summary>
    public BackendPool Pool { get; private set; } = null!;

    /// <summary>Coarse timestamp of its last return.</summary>
    public long IdleSince { get; set; }

    /// <summary>Coarse timestamp from which on it is closed when it comes back.</summary>
    public long ExpiresAt { get; private set; } = long.MaxValue;

    public PipeReader Input => _transport.Input;

    public PipeWriter Output => _transport.Output;

    /// <summary>Last values of the server's ParameterStatus messages.</summary>
    public ReportedParameters Parameters { get; set; }

    /// <summary>Notifications that came while the proxy was talking to the server on its own account: the client is owed them.</summary>
    public List<byte[]> Notifications { get; } = [];

    /// <summary>The server's major version, 0 when it did not tell.</summary>
    public int MajorVersion
    {
        get
        {
            var version = Parameters["server_version"] ?? "";
            var digits = version.AsSpan(0, version.AsSpan().IndexOfAnyExceptInRange('0', '9') is >= 0 and var end ? end : version.Length);
            return int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var major) ? major : 0;
        }
    }

    /// <summary>How its node numbers the user's types; null when as the home node does.</summary>
    public TypeTable? Types => TypesInBlock ?? Pool?.Types;

    /// <summary>As its open transaction has made them; null when it has made none.</summary>
    public TypeTable? TypesInBlock { get; set; }

    /// <summary>Replies owed, in order.</summary>
    public ReplyQueue Owed { get; } = new();

    /// <summary>Transaction status of the last ReadyForQuery: I, T or E.</summary>
    public byte Status { get; set; } = (byte)'I';

    /// <summary>Canonical prepared statements this server has.</summary>
    public ServerStatements Statements { get; init; } = new(int.MaxValue);

    /// <summary>The statement the server's unnamed statement stands for; null when unknown or destroyed.</summary>
    public object? UnnamedStatement { get; set; }

    /// <summary>
    /// Statements of its session that it has under the client's own names until the transaction ends; null for a name it may have that is not to be
    /// used any more. Null while there are none.
    /// </summary>
    public Dictionary<string, PreparedStatement?>? Lent { get; set; }

    /// <summary>What SQL-level PREPARE has made on it, as far as the proxy has seen it; null for nothing.</summary>
    public Dictionary<string, SqlStatement>? SqlStatements { get; set; }

    /// <summary>The session settings this server has now.</summary>
    public SessionSettings Settings { get; set; } = SessionSettings.Empty;

    /// <summary>Its first lease has looked at what its login brought: see <see cref="SearchPath"/>.</summary>
    public bool IsKnown { get; set; }

    /// <summary>Names of custom parameters that were ever set on it; null for none.</summary>
    public HashSet<string>? CustomTraces { get; set; }

    /// <summary>The process id of the session whose sequence values it remembers, of those alone; 0 for nobody's.</summary>
    public int SequenceOwner { get; set; }

    /// <summary>State that its session's statements may have left on it and that nobody has looked for yet.</summary>
    public StateKinds Suspected { get; set; }

    /// <summary>State that was found on it.</summary>
    public StateKinds Found { get; set; }

    /// <summary>An extended-protocol error happened and the Sync that ends it has not been sent yet: the server ignores everything.</summary>
    public bool SkipsToSync { get; set; }

    /// <summary>Extended-protocol messages were sent after the last Sync.</summary>
    public bool HasUnsynced { get; set; }

    /// <summary>The open transaction on this server has run a statement that may have written.</summary>
    public bool HasWritten { get; set; }

    /// <summary>A cancel request was sent for it: it may arrive late, so the connection is not used for anyone else.</summary>
    public bool WasCancelled { get; set; }

    /// <summary>It holds state of its session that cannot be carried: it is kept for that session and never goes back to the pool.</summary>
    public bool IsPinned { get; set; }

    /// <summary>The living session whose client was told this server's process id, or null.</summary>
    public Session? AssignedTo { get; set; }

    /// <summary>The payload of the FATAL error it ended with, or null.</summary>
    public byte[]? LastWords { get; set; }

    /// <summary>The connection is unusable.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>True when it may go back to the pool (law 5).</summary>
    public bool IsClean => !WasCancelled && IsSettled;

    /// <summary>True when its own session may go on with it.</summary>
    public bool IsSettled => !IsBroken && Status == (byte)'I' && Owed.Count == 0 && !SkipsToSync && !HasUnsynced && !_transport.IsClosed;

    /// <summary>Makes it a pool's.</summary>
    public void Join(BackendPool pool, long now, long expiresAt)
    {
        Pool = pool;
        IdleSince = now;
        ExpiresAt = expiresAt;
    }

    /// <summary>
    /// True when an idle server has said something or ended: a server at rest has nothing to say but its end, so that what it was not yet
    /// asked can go to another one.
    /// </summary>
    public bool HasSpoken()
    {
        try
        {
            if (!Input.TryRead(out var result))
            {
                return false;
            }

            var hasSpoken = result.IsCompleted || !result.Buffer.IsEmpty;
            Input.AdvanceTo(result.Buffer.Start);
            return hasSpoken;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
        {
            return true;
        }
    }

    /// <summary>Keeps the FATAL error that has arrived unasked, if one has. For the owner of an idle connection only.</summary>
    public void KeepLastWords()
    {
        try
        {
            if (LastWords is not null || !Input.TryRead(out var result))
            {
                return;
            }

            var left = result.Buffer;
            while (LastWords is null && FrameHeader.TryRead(left, ushort.MaxValue, out var header) && left.Length >= header.TotalBytes)
            {
                var payload = left.Slice(FrameHeader.Bytes, header.PayloadBytes).ToArray();
                LastWords = header.Tag == BackendTag.ErrorResponse && ErrorFields.Read(payload).Severity == "FATAL" ? payload : null;
                left = left.Slice(header.TotalBytes);
            }

            Input.AdvanceTo(result.Buffer.Start);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException or ProtocolException)
        {
            // It has ended without a word.
        }
    }

    /// <summary>
    /// After an error in the extended protocol the server skips to the Sync: drops the replies that will not come, and forgets what their
    /// requests would have done. True when a Sync is owed.
    /// </summary>
    public bool SkipToSync()
    {
        var kept = 0L;
        var gone = 0L;
        while (Owed.Count > 0)
        {
            if (Owed.Peek().Kind is ReplyKind.Sync)
            {
                return true;
            }

            NotDone(Owed.Dequeue(), ref kept, ref gone);
        }

        return false;
    }

    /// <summary>The connection is lost: nothing that is owed will come.</summary>
    public void GiveUp()
    {
        MarkBroken();
        var kept = 0L;
        var gone = 0L;
        while (Owed.Count > 0)
        {
            NotDone(Owed.Dequeue(), ref kept, ref gone);
        }
    }

    // A statement is prepared anew by a Close and a Parse: without the Close the server still has the old one, with it but without the Parse none.
    private void NotDone(in OwedReply request, ref long kept, ref long gone)
    {
        if (request.Kind == ReplyKind.Close && request.CanonicalId != 0)
        {
            if (request.CanonicalId != gone)
            {
                kept = request.CanonicalId;
                Statements.Restore(kept);
            }
        }
        else if (request is { Kind: ReplyKind.Parse, Statement: { } statement })
        {
            if (request.CanonicalId != 0 && request.CanonicalId != kept)
            {
                gone = request.CanonicalId;
                Statements.Remove(gone);
            }

            if (ReferenceEquals(UnnamedStatement, statement))
            {
                UnnamedStatement = null;
            }

            if (request.IsHidden && Lent?.ContainsKey(statement.Name) == true)
            {
                Lent[statement.Name] = null;
            }

            // The client was not told that its Parse succeeded: for it the statement does not exist.
            statement.IsGone |= !request.IsHidden;
        }
    }

    /// <summary>Marks it unusable; the pool closes it when it comes back.</summary>
    public void MarkBroken() => IsBroken = true;

    /// <summary>Cuts the connection at once; pending reads and writes end. Thread-safe, idempotent.</summary>
    public void Abort()
    {
        if (Interlocked.Exchange(ref _aborted, 1) == 0)
        {
            _transport.Abort();
        }
    }

    /// <summary>Throws it away: cut now, disposed in the background. Thread-safe.</summary>
    public void Discard()
    {
        Abort();
        _ = DisposeQuietlyAsync(this);

        static async Task DisposeQuietlyAsync(ServerConnection server)
        {
            try
            {
                await server.DisposeAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
            {
                // It is being thrown away.
            }
        }
    }

    public ValueTask DisposeAsync() => _transport.DisposeAsync();
}
