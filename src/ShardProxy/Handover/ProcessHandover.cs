using System.Globalization;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Npgsql;
using ShardProxy.Control;
using ShardProxy.DataPath;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Fleet;

namespace ShardProxy.Handover;

/// <summary>
/// Restart without a gap: a new process of the same proxy takes the listening socket and the catalog's lease from the old one, which then
/// drains and ends. While both live, nothing is placed or moved (SHP-514), and what DDL changes is known to both before the client that ran
/// it can send its next statement. Whether the other lives is told by <see cref="HandoverLocks"/>, never by time.
/// </summary>
/// <remarks>
/// The new process asks, the old one answers: <c>take</c> (it stops placing and gives the lease up, or refuses), <c>listener</c> (its socket, with
/// everybody who waits to be accepted), then, when the new one could serve, <c>serving</c> (it takes no more clients). A new process that fails
/// before that leaves the old one as it was. <c>follow</c> opens the way back.
/// </remarks>
/// <param name="path">The Unix socket; null for a proxy that does not hand over.</param>
/// <param name="proxyId">Names this proxy in reports.</param>
/// <param name="time">Clock.</param>
/// <param name="logger">Told of each step.</param>
internal sealed partial class ProcessHandover(string? path, string proxyId, TimeProvider time, ILogger<ProcessHandover> logger) : IDisposable
{
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _handedOver = new();
    private readonly CancellationTokenSource _mustEnd = new();
    private DataPlane _plane = null!;
    private ControlPlane _control = null!;
    private Func<Task> _closeHttp = null!;
    private HandoverLocks? _locks;
    private Socket? _door;
    private volatile HandoverLine? _older;
    private volatile HandoverLine? _newer;
    private string _olderProcess = "";
    private int _isGiving;

    /// <summary>Cancelled when a new process serves: this one is to drain and end.</summary>
    public CancellationToken HandedOver => _handedOver.Token;

    /// <summary>Cancelled when the new process has died while this one drains: this one has to end at once, for nobody tells it of changes any more.</summary>
    public CancellationToken MustEnd => _mustEnd.Token;

    /// <summary>The process before this one still serves clients.</summary>
    public bool IsOlderThere => _older is not null;

    /// <summary>In words, for SHOW VERSION and /readyz; null when nothing is under way.</summary>
    public string? State => _handedOver.IsCancellationRequested
        ? "handed over; ending"
        : _older is not null ? $"process {_olderProcess} is ending; nothing can be placed or moved until it has" : null;

    /// <summary>Once, before anything else.</summary>
    public void Attach(DataPlane plane, ControlPlane control, Func<Task> closeHttp) => (_plane, _control, _closeHttp) = (plane, control, closeHttp);

    /// <summary>Before the start: takes over from the process that runs, if one does. Until <see cref="CommitAsync"/> all can be undone, by <see cref="Dispose"/>.</summary>
    /// <exception cref="ShardProxyException">SHP-515: it cannot hand over, or does not answer.</exception>
    public async Task BeginAsync(CancellationToken cancellationToken)
    {
        if (path is null)
        {
            return;
        }

        var started = time.GetTimestamp();
        while (true)
        {
            if (HandoverLocks.TryTake(path, out var isAlone) is { } locks)
            {
                var isTaken = isAlone;
                try
                {
                    isTaken = isAlone || await TryTakeOverAsync(path, cancellationToken);
                }
                finally
                {
                    if (!isTaken)
                    {
                        locks.Dispose();
                    }
                }

                if (isTaken)
                {
                    _locks = locks;
                    return;
                }
            }

            if (time.GetElapsedTime(started) > StartLimit)
            {
                throw Refused("another process of this proxy runs and does not answer, or is just ending");
            }

            await Task.Delay(LookEvery, time, cancellationToken);
        }
    }

    /// <summary>When this process could serve: the old one takes no more clients. Returns when the ports are free.</summary>
    /// <exception cref="ShardProxyException">SHP-515: it did not answer.</exception>
    public async Task CommitAsync(CancellationToken cancellationToken)
    {
        if (_older is not { } older)
        {
            return;
        }

        var answer = await older.AskAsync("serving", AnswerLimit, time, cancellationToken);
        if (answer != HandoverCommands.Done && !_locks!.IsOtherGone())
        {
            throw Refused("it did not answer any more");
        }

        Log.TakenOver(logger, _olderProcess);
        _ = WatchOlderAsync();
    }

    /// <summary>From now on a newer process may take over.</summary>
    public void Open()
    {
        if (path is null)
        {
            return;
        }

        // What lies there is nobody's: the lock is held here, and a process before this one has closed its own.
        File.Delete(path);
        _door = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _door.Bind(new UnixDomainSocketEndPoint(path));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        _door.Listen(8);
        _ = AcceptAsync(_door);
    }

    /// <summary>Has the other process, if there is one, follow the catalog; its report, or null when this one is alone.</summary>
    public async Task<EpochReport?> PublishElsewhereAsync(long epoch, DrainScope scope, TimeSpan deadline, CancellationToken cancellationToken)
    {
        if ((_older ?? _newer) is not { } line)
        {
            return null;
        }

        var answer = await line.AskAsync(HandoverCommands.Publish(epoch, scope, deadline), deadline + TimeSpan.FromSeconds(1), time, cancellationToken);
        if (HandoverCommands.Report(answer, proxyId) is { } report)
        {
            return report;
        }

        // It is ending, or hangs. Whoever asks for a barrier does not get it before the process is gone.
        var started = time.GetTimestamp();
        while (_locks is { } locks && !locks.IsOtherGone())
        {
            if (time.GetElapsedTime(started) > deadline)
            {
                Log.NoAnswer(logger, epoch);
                return new EpochReport(proxyId, epoch, IsDrained: false, Blockers: 1, (long)deadline.TotalMilliseconds);
            }

            await Task.Delay(LookEvery, time, cancellationToken);
        }

        return null;
    }

    /// <summary>A cancel request whose session is not here may mean one of the process before.</summary>
    public async ValueTask CancelElsewhereAsync(int processId, int secret)
    {
        if (_older is { } line)
        {
            await line.AskAsync(HandoverCommands.Cancel(processId, secret), AnswerLimit, time, _stop.Token);
        }
    }

    public void Dispose()
    {
        _stop.Cancel();
        _door?.Dispose();
        _older?.Dispose();
        _newer?.Dispose();

        // Last: a process that starts now must find everything closed.
        _locks?.Dispose();
    }

    private async Task<bool> TryTakeOverAsync(string socket, CancellationToken cancellationToken)
    {
        HandoverLine line;
        try
        {
            line = await HandoverLine.ConnectAsync(socket, cancellationToken);
        }
        catch (SocketException)
        {
            // It starts, or ends.
            return false;
        }

        switch ((await line.AskAsync("take", AnswerLimit, time, cancellationToken))?.Split(' ', 2))
        {
            case ["ready", var process]:
                _olderProcess = process;
                break;
            case ["refused", var why]:
                line.Dispose();
                throw Refused(why);
            default:
                line.Dispose();
                return false;
        }

        var back = await HandoverLine.ConnectAsync(socket, cancellationToken);
        if (await back.AskAsync("follow", AnswerLimit, time, cancellationToken) != HandoverCommands.Done
            || !await line.WriteAsync("listener", cancellationToken))
        {
            line.Dispose();
            back.Dispose();
            return false;
        }

        _older = line;
        _ = AnswerAsync(back);

        // Its answer is no line: a read that does not ask for the descriptor would lose it.
        await line.Socket.ReceiveAsync(Memory<byte>.Empty, cancellationToken).AsTask().WaitAsync(AnswerLimit, time, cancellationToken);
        await _plane.InheritListenerAsync(line.Socket);
        return true;
    }

    private async Task WatchOlderAsync()
    {
        try
        {
            while (!_locks!.IsOtherGone())
            {
                await Task.Delay(LookEvery, time, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            return;
        }

        _older?.Dispose();
        _older = null;
        Log.OlderEnded(logger, _olderProcess);
    }

    private async Task AcceptAsync(Socket door)
    {
        try
        {
            while (true)
            {
                _ = ServeAsync(new HandoverLine(await door.AcceptAsync(_stop.Token)));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // Closed: handed over, or ending.
        }
    }

    private async Task ServeAsync(HandoverLine line)
    {
        switch (await line.ReadAsync(_stop.Token))
        {
            case "take":
                await GiveAsync(line);
                break;
            case "follow" when Volatile.Read(ref _isGiving) == 1:
                _newer?.Dispose();
                _newer = line;
                await line.WriteAsync(HandoverCommands.Done, _stop.Token);
                return;
        }

        line.Dispose();
    }

    // The old process's part: see the remarks above.
    private async Task GiveAsync(HandoverLine line)
    {
        if (await TrySuspendAsync() is { } why)
        {
            await line.WriteAsync("refused " + why, _stop.Token);
            return;
        }

        Log.Giving(logger);
        try
        {
            await line.WriteAsync(string.Create(CultureInfo.InvariantCulture, $"ready {Environment.ProcessId}"), _stop.Token);
            await AnswerAsync(line);
        }
        catch (OperationCanceledException)
        {
            return;
        }

        if (_handedOver.IsCancellationRequested)
        {
            Log.NewerLost(logger);
            await _mustEnd.CancelAsync();
            return;
        }

        Log.Undone(logger);
        _newer?.Dispose();
        _newer = null;
        await ResumeAsync();
        Volatile.Write(ref _isGiving, 0);
    }

    private async Task<string?> TrySuspendAsync()
    {
        if (_older is not null)
        {
            return "the process before it has not ended yet";
        }

        if (_plane.IsDraining || Interlocked.Exchange(ref _isGiving, 1) != 0)
        {
            return "it is ending, or hands over to another one";
        }

        try
        {
            await _control.SuspendAsync(_stop.Token);
            return null;
        }
        catch (Exception e) when (e is ShardProxyException or NpgsqlException or TimeoutException)
        {
            Volatile.Write(ref _isGiving, 0);
            return e is ShardProxyException { Error: var error } ? error.Message : "the catalog does not answer";
        }
    }

    private async Task ResumeAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await _control.ResumeAsync(_stop.Token);
                return;
            }
            catch (Exception e) when (e is ShardProxyException or NpgsqlException or TimeoutException)
            {
                Log.ResumeFailed(logger, e);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    // Answers until the other side has gone. A question that cannot be answered ends the line: the other side must not believe it was heard.
    private async Task AnswerAsync(HandoverLine line)
    {
        try
        {
            while (await line.ReadAsync(_stop.Token) is { } question)
            {
                if (question == "listener")
                {
                    _plane.SendListener(line.Socket);
                    continue;
                }

                var answer = question switch
                {
                    "serving" => await StopServingAsync(),
                    _ => await HandoverCommands.AnswerAsync(question, _control, _plane, _stop.Token),
                };
                if (answer is null || !await line.WriteAsync(answer, _stop.Token))
                {
                    break;
                }
            }
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or ShardProxyException or SocketException)
        {
            Log.AnswerFailed(logger, e);
        }

        line.Dispose();
    }

    private async Task<string> StopServingAsync()
    {
        // Closing takes the socket's name away with it; the new process puts its own there.
        _door?.Dispose();
        await _closeHttp();
        await _plane.CloseListenerAsync();
        Log.Given(logger);

        // Before the answer, which may not arrive: from here there is no way back.
        await _handedOver.CancelAsync();
        return HandoverCommands.Done;
    }

    private static ShardProxyException Refused(string why) => new(new ShardProxyError(
        "55006", "SHP-515", $"no hand-over: {why}", "The process that runs goes on as before. Start the new one again when SHOW MIGRATIONS shows none running and no other hand-over is under way."));

    private static partial class Log
    {
        [LoggerMessage(7301, LogLevel.Information, "a new process takes over; placing and moving have stopped")]
        public static partial void Giving(ILogger logger);

        [LoggerMessage(7302, LogLevel.Information, "the new process serves; this one takes no more clients and ends when those it has are through")]
        public static partial void Given(ILogger logger);

        [LoggerMessage(7303, LogLevel.Warning, "the new process has given up; this one goes on as before")]
        public static partial void Undone(ILogger logger);

        [LoggerMessage(7304, LogLevel.Error, "the new process has died during the hand-over; this one cannot follow changes any more and ends at once")]
        public static partial void NewerLost(ILogger logger);

        [LoggerMessage(7305, LogLevel.Information, "taken over from process {Process}, which drains; nothing is placed or moved until it has ended")]
        public static partial void TakenOver(ILogger logger, string process);

        [LoggerMessage(7306, LogLevel.Information, "process {Process} has ended; the hand-over is complete")]
        public static partial void OlderEnded(ILogger logger, string process);

        [LoggerMessage(7307, LogLevel.Error, "the other process of the hand-over does not follow epoch {Epoch}; end it")]
        public static partial void NoAnswer(ILogger logger, long epoch);

        [LoggerMessage(7308, LogLevel.Error, "the control plane could not go on after a hand-over that was given up")]
        public static partial void ResumeFailed(ILogger logger, Exception exception);

        [LoggerMessage(7309, LogLevel.Error, "a question of the other process could not be answered")]
        public static partial void AnswerFailed(ILogger logger, Exception exception);
    }
}
