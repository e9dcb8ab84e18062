using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using ShardProxy.Wire.Auth;

namespace ShardProxy.TestKit.Wire;

/// <summary>
/// A client that sends exactly the bytes a test says and reads message by message, each read with a deadline. Messages come from
/// <see cref="Frontend"/>.
/// </summary>
public sealed class ScriptedClient : IDisposable
{
    private static readonly TimeSpan DefaultDeadline = TimeSpan.FromSeconds(20);

    private readonly WireChannel _channel;
    private readonly Dictionary<string, string> _parameters = new(StringComparer.Ordinal);

    private ScriptedClient(WireChannel channel) => _channel = channel;

    /// <summary>How long one read may take before it throws a <see cref="TimeoutException"/>.</summary>
    public TimeSpan Deadline
    {
        get => _channel.Deadline;
        set => _channel.Deadline = value;
    }

    /// <summary>The server's ParameterStatus values so far.</summary>
    public IReadOnlyDictionary<string, string> Parameters => _parameters;

    /// <summary>Process id of BackendKeyData, 0 before.</summary>
    public int ProcessId { get; private set; }

    /// <summary>Secret key of BackendKeyData, 0 before.</summary>
    public int SecretKey { get; private set; }

    /// <summary>This end's address, as the server sees it.</summary>
    public EndPoint? LocalEndPoint => _channel.LocalEndPoint;

    /// <summary>Connects a socket; nothing is sent.</summary>
    public static async Task<ScriptedClient> ConnectAsync(IPEndPoint endPoint, CancellationToken cancellationToken = default)
    {
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(endPoint, cancellationToken);
            return new ScriptedClient(new WireChannel(socket, DefaultDeadline));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Connects to a port of 127.0.0.1 and logs in; throws if the server refuses.</summary>
    public static async Task<ScriptedClient> LoginAsync(
        int port, string user, string database, string? password = null, CancellationToken cancellationToken = default, params (string Name, string Value)[] parameters)
    {
        var client = await ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), cancellationToken);
        try
        {
            var reply = await client.StartAsync(user, database, password, cancellationToken, parameters);
            return reply.Status is not null ? client : throw new InvalidOperationException("the login was refused:\n" + reply);
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Sends a start-up message and answers what the server asks for (nothing, a cleartext password, MD5, SCRAM-SHA-256), up to
    /// ReadyForQuery, an error or the end of the stream.
    /// </summary>
    public async Task<Transcript> StartAsync(
        string user, string? database, string? password = null, CancellationToken cancellationToken = default, params (string Name, string Value)[] parameters)
    {
        List<KeyValuePair<string, string>> all = [new("user", user)];
        if (database is not null)
        {
            all.Add(new("database", database));
        }

        all.AddRange(parameters.Select(p => new KeyValuePair<string, string>(p.Name, p.Value)));
        await SendAsync(Frontend.Startup(all), cancellationToken);

        var messages = new List<WireMessage>();
        var scram = password is null ? null : new ScramClient(password, new ScramKeyCache());
        while (await ReadAsync(cancellationToken) is { } message)
        {
            messages.Add(message);
            if (message.Type is 'Z' or 'E')
            {
                break;
            }

            if (message.Type == 'R' && Answer(message, user, password, scram) is { } answer)
            {
                await SendAsync(answer, cancellationToken);
            }
        }

        return new Transcript(messages);
    }

    /// <summary>Asks for TLS and returns the server's one-byte answer, null if it closed.</summary>
    public async Task<char?> RequestSslAsync(CancellationToken cancellationToken = default)
    {
        await SendAsync(Frontend.SslRequest(), cancellationToken);
        return (char?)await _channel.ReadByteAsync(cancellationToken);
    }

    /// <summary>Encrypts the connection, after <see cref="RequestSslAsync"/> or as the first thing; returns what was agreed on.</summary>
    public Task<SslStream> SecureAsync(SslClientAuthenticationOptions options, CancellationToken cancellationToken = default) =>
        _channel.SecureAsync(options, cancellationToken);

    /// <summary>Reads one byte that is no message; null at the end of the stream.</summary>
    public async Task<char?> ReadByteAsync(CancellationToken cancellationToken = default) => (char?)await _channel.ReadByteAsync(cancellationToken);

    /// <summary>Sends bytes as they are, in one write.</summary>
    public Task SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default) => _channel.WriteAsync(bytes, cancellationToken);

    /// <summary>Sends several messages in one write: a pipeline.</summary>
    public Task SendAsync(params byte[][] messages) => _channel.WriteAsync(messages.SelectMany(m => m).ToArray(), default);

    /// <summary>Reads one message; null at the end of the stream or after a reset.</summary>
    public async Task<WireMessage?> ReadAsync(CancellationToken cancellationToken = default)
    {
        var message = await _channel.ReadMessageAsync(hasType: true, cancellationToken);
        switch (message?.Type)
        {
            case 'S':
                var (name, value) = message.Parameter();
                _parameters[name] = value;
                break;
            case 'K':
                var reader = new MessageReader(message.Body);
                ProcessId = reader.Int32();
                SecretKey = reader.Int32();
                break;
        }

        return message;
    }

    /// <summary>Reads up to and including the next ReadyForQuery, or to the end of the stream.</summary>
    public Task<Transcript> ReadUntilReadyAsync(CancellationToken cancellationToken = default) => ReadUntilAsync('Z', cancellationToken);

    /// <summary>Reads up to and including the next message of that type, or to the end of the stream.</summary>
    public async Task<Transcript> ReadUntilAsync(char type, CancellationToken cancellationToken = default)
    {
        var messages = new List<WireMessage>();
        while (await ReadAsync(cancellationToken) is { } message)
        {
            messages.Add(message);
            if (message.Type == type)
            {
                break;
            }
        }

        return new Transcript(messages);
    }

    /// <summary>Runs text by the simple protocol.</summary>
    public async Task<Transcript> QueryAsync(string sql, CancellationToken cancellationToken = default)
    {
        await SendAsync(Frontend.Query(sql), cancellationToken);
        return await ReadUntilReadyAsync(cancellationToken);
    }

    /// <summary>Runs one statement by the extended protocol with unnamed statement and portal, values as text.</summary>
    public async Task<Transcript> ExecuteAsync(string sql, params string?[] values)
    {
        await SendAsync(Frontend.Parse(sql), Frontend.Bind(values: values), Frontend.DescribePortal(), Frontend.Execute(), Frontend.Sync());
        return await ReadUntilReadyAsync();
    }

    /// <summary>Sends a cancel request for this session over a connection of its own and waits until the server has closed that.</summary>
    public async Task CancelAsync(IPEndPoint endPoint, CancellationToken cancellationToken = default)
    {
        using var other = await ConnectAsync(endPoint, cancellationToken);
        await other.SendAsync(Frontend.CancelRequest(ProcessId, SecretKey), cancellationToken);
        await other.ReadAsync(cancellationToken);
    }

    /// <summary>Says goodbye and waits until the server has closed.</summary>
    public async Task TerminateAsync(CancellationToken cancellationToken = default)
    {
        await SendAsync(Frontend.Terminate(), cancellationToken);
        await ReadUntilAsync('\0', cancellationToken);
    }

    /// <summary>Sends a FIN and goes on reading.</summary>
    public void CloseWriting() => _channel.CloseWriting();

    /// <summary>Closes with a reset, as a killed process with unread data does.</summary>
    public void Reset() => _channel.Reset();

    public void Dispose() => _channel.Dispose();

    /// <summary>The answer to an authentication request; null when none is due.</summary>
    private static byte[]? Answer(WireMessage request, string user, string? password, ScramClient? scram)
    {
        var (code, data) = request.Authentication();
        if (code is 0)
        {
            return null;
        }

        if (password is null || scram is null)
        {
            throw new InvalidOperationException("the server asks for a password");
        }

        switch (code)
        {
            case 3:
                return Frontend.Password(password);
            case 5:
                return Frontend.Password(Md5Password.Respond(user, password, data));
            case 10:
                return Encoding.ASCII.GetString(data).Split('\0').Contains(ScramServer.Mechanism)
                    ? Frontend.SaslInitialResponse(ScramServer.Mechanism, scram.ClientFirst())
                    : throw new InvalidOperationException("the server does not offer SCRAM-SHA-256");
            case 11:
                return Frontend.SaslResponse(Checked(scram.ReceiveServerFirst(data)).Reply);
            case 12:
                Checked(scram.ReceiveServerFinal(data));
                return null;
            default:
                throw new InvalidOperationException($"the server asks for authentication {code}");
        }
    }

    private static ScramStep Checked(ScramStep step) =>
        step.IsOk ? step : throw new InvalidOperationException($"the SCRAM exchange failed: {step.Failure}, {step.Detail}");
}
