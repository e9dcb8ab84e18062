using System.Net.Sockets;
using System.Text;
using ShardProxy.Wire.Auth;

namespace ShardProxy.TestKit.Wire;

/// <summary>One client of <see cref="FakeBackend"/>: login, then statements until it leaves or the script cuts it.</summary>
internal sealed class FakeBackendConnection : IDisposable
{
    private const int SslRequestCode = 80877103, GssRequestCode = 80877104, CancelRequestCode = 80877102;
    private static readonly TimeSpan IdleDeadline = TimeSpan.FromMinutes(5);

    private readonly FakeBackend _backend;
    private readonly WireChannel _channel;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _writing = new(1);
    private readonly Dictionary<string, string> _statements = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _portals = new(StringComparer.Ordinal);
    private readonly Dictionary<string, FakeReply> _replies = new(StringComparer.Ordinal);
    private char _status = 'I';
    private bool _isSkipping;

    public FakeBackendConnection(FakeBackend backend, Socket socket)
    {
        _backend = backend;
        _channel = new WireChannel(socket, IdleDeadline);
    }

    public Task Completion => _completion.Task;

    /// <summary>What ended it, unless it was the client's leaving, a cut or the stop.</summary>
    public Exception? Fault { get; private set; }

    public void Reset() => _channel.Reset();

    public async Task SendAsync(byte[] bytes, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            await _channel.WriteAsync(bytes, cancellationToken);
        }
        finally
        {
            _writing.Release();
        }
    }

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (await LoginAsync(cancellationToken))
            {
                while (await _channel.ReadMessageAsync(hasType: true, cancellationToken) is { } message)
                {
                    _backend.Record(message);
                    if (message.Type == 'X' || !await HandleAsync(message, cancellationToken))
                    {
                        break;
                    }
                }
            }
        }
        catch (Exception error) when (error is OperationCanceledException or ObjectDisposedException or IOException and not EndOfStreamException)
        {
            // Stopped, cut, or the client is gone.
        }
        catch (Exception error)
        {
            Fault = error;
        }
        finally
        {
            _channel.Dispose();
            _completion.SetResult();
        }
    }

    public void Dispose()
    {
        _channel.Dispose();
        _writing.Dispose();
    }

    private async Task<bool> LoginAsync(CancellationToken cancellationToken)
    {
        while (await _channel.ReadMessageAsync(hasType: false, cancellationToken) is { } message)
        {
            var code = ReadCode(message);
            switch (code)
            {
                case SslRequestCode or GssRequestCode:
                    await SendAsync("N"u8.ToArray(), cancellationToken);
                    continue;
                case CancelRequestCode:
                    RecordCancel(message);
                    return false;
                default:
                    return await GreetAsync(cancellationToken);
            }
        }

        return false;
    }

    private static int ReadCode(WireMessage message) => new MessageReader(message.Body).Int32();

    private void RecordCancel(WireMessage message)
    {
        var reader = new MessageReader(message.Body);
        reader.Int32();
        _backend.RecordCancel(reader.Int32(), reader.Int32());
    }

    private async Task<bool> GreetAsync(CancellationToken cancellationToken)
    {
        var processId = _backend.NextProcessId();
        var options = _backend.Options;
        if (options.LoginGate is { } gate && processId >= options.LoginGateFrom)
        {
            await gate.WaitAsync(cancellationToken);
        }

        if (options.LoginError is { } refusal)
        {
            await SendAsync(Backend.ErrorResponse(refusal.SqlState, refusal.Message, "FATAL"), cancellationToken);
            return false;
        }

        if (options.Password is { } password && !await AuthenticateAsync(password, cancellationToken))
        {
            await SendAsync(Backend.ErrorResponse("28P01", "password authentication failed", "FATAL"), cancellationToken);
            return false;
        }

        await SendAsync(
            [
                .. Backend.AuthenticationOk(), .. options.Parameters.SelectMany(p => Backend.ParameterStatus(p.Key, p.Value)),
                .. Backend.BackendKeyData(processId, ~processId), .. Backend.ReadyForQuery(),
            ],
            cancellationToken);
        return true;
    }

    private async Task<bool> AuthenticateAsync(string password, CancellationToken cancellationToken)
    {
        var verifier = ScramVerifier.FromPassword(password);
        var scram = new ScramServer(verifier, verifier);
        await SendAsync(Backend.AuthenticationSasl(ScramServer.Mechanism), cancellationToken);
        if (await _channel.ReadMessageAsync(hasType: true, cancellationToken) is not { Type: 'p' } initial)
        {
            return false;
        }

        var first = scram.ReceiveClientFirst(InitialData(initial));
        if (!first.IsOk)
        {
            return false;
        }

        await SendAsync(Backend.AuthenticationSaslContinue(first.Reply), cancellationToken);
        if (await _channel.ReadMessageAsync(hasType: true, cancellationToken) is not { Type: 'p' } response)
        {
            return false;
        }

        var final = scram.ReceiveClientFinal(response.Body);
        if (final.IsOk)
        {
            await SendAsync(Backend.AuthenticationSaslFinal(final.Reply), cancellationToken);
        }

        return final.IsOk;
    }

    private static byte[] InitialData(WireMessage message)
    {
        var reader = new MessageReader(message.Body);
        reader.String();
        return reader.Value() ?? [];
    }

    /// <summary>Answers one message; false when the connection is to end.</summary>
    private async Task<bool> HandleAsync(WireMessage message, CancellationToken cancellationToken)
    {
        if (_isSkipping && message.Type != 'S')
        {
            return true;
        }

        switch (message.Type)
        {
            case 'Q':
                var sql = Text(message.Body);
                var reply = _backend.Options.Reply(sql);
                if (reply.Columns is { } columns)
                {
                    await SendAsync(Backend.RowDescription(columns), cancellationToken);
                }

                return await PlayAsync(sql, reply, cancellationToken) && await ReadyAsync(cancellationToken);
            case 'S':
                _isSkipping = false;
                return await ReadyAsync(cancellationToken);
            case 'P':
                RememberStatement(message);
                await SendAsync(Backend.ParseComplete(), cancellationToken);
                return true;
            case 'B':
                if (!TryRememberPortal(message, out var missing))
                {
                    _isSkipping = true;
                    await SendAsync(Backend.ErrorResponse("26000", $"prepared statement \"{missing}\" does not exist"), cancellationToken);
                    return true;
                }

                await SendAsync(Backend.BindComplete(), cancellationToken);
                return true;
            case 'D':
                await SendAsync(Description(message), cancellationToken);
                return true;
            case 'E':
                var portal = Text(message.Body);
                var text = _portals.GetValueOrDefault(portal, "");
                var executed = ReplyTo(portal, text);
                _replies.Remove(portal);
                _isSkipping = executed.IsError;
                return await PlayAsync(text, executed, cancellationToken);
            case 'C':
                (message.Body[0] == 'S' ? _statements : _portals).Remove(Text(message.Body.AsSpan(1)));
                await SendAsync(Backend.CloseComplete(), cancellationToken);
                return true;
            default:
                // Flush needs no answer; COPY data is recorded only.
                return true;
        }
    }

    private async Task<bool> ReadyAsync(CancellationToken cancellationToken)
    {
        await SendAsync(Backend.ReadyForQuery(_status), cancellationToken);
        return true;
    }

    private async Task<bool> PlayAsync(string sql, FakeReply reply, CancellationToken cancellationToken)
    {
        foreach (var step in reply.Steps)
        {
            if (step.Gate is { } gate)
            {
                await gate.WaitAsync(cancellationToken);
            }

            if (step.Bytes.Length > 0)
            {
                await SendAsync(step.Bytes, cancellationToken);
            }

            switch (step.Ending)
            {
                case FakeReply.Ending.Close:
                    return false;
                case FakeReply.Ending.Reset:
                    _channel.Reset();
                    return false;
            }
        }

        TrackTransaction(sql, reply.IsError);
        return true;
    }

    private void TrackTransaction(string sql, bool isError)
    {
        var verb = sql.TrimStart().Split(' ', ';', '\n')[0].ToUpperInvariant();
        _status = verb switch
        {
            _ when isError => _status == 'I' ? 'I' : 'E',
            "BEGIN" or "START" => 'T',
            "COMMIT" or "ROLLBACK" or "END" or "ABORT" => 'I',
            _ => _status,
        };
    }

    private void RememberStatement(WireMessage message)
    {
        var reader = new MessageReader(message.Body);
        _statements[reader.String()] = reader.String();
    }

    private bool TryRememberPortal(WireMessage message, out string statement)
    {
        var reader = new MessageReader(message.Body);
        var portal = reader.String();
        statement = reader.String();
        _replies.Remove(portal);
        return _statements.TryGetValue(statement, out var sql) && (_portals[portal] = sql) is not null;
    }

    private byte[] Description(WireMessage message)
    {
        var name = Text(message.Body.AsSpan(1));
        if (message.Body[0] == 'P')
        {
            return Columns(ReplyTo(name, _portals.GetValueOrDefault(name, "")));
        }

        return [.. Backend.ParameterDescription(), .. Columns(_backend.Options.Reply(_statements.GetValueOrDefault(name, "")))];
    }

    /// <summary>The script is asked once a portal, whether it is described or not.</summary>
    private FakeReply ReplyTo(string portal, string sql)
    {
        if (!_replies.TryGetValue(portal, out var reply))
        {
            _replies[portal] = reply = _backend.Options.Reply(sql);
        }

        return reply;
    }

    private static byte[] Columns(FakeReply reply) => reply.Columns is { } columns ? Backend.RowDescription(columns) : Backend.NoData();

    /// <summary>The text up to the first NUL.</summary>
    private static string Text(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes[..bytes.IndexOf((byte)0)]);
}
