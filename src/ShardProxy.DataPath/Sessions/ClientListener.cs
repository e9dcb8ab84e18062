using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using ShardProxy.DataPath.Login;
using ShardProxy.DataPath.Servers;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;
using ShardProxy.Wire.Transport;

namespace ShardProxy.DataPath.Sessions;

/// <summary>Accepts clients, logs them in, and runs a session for each. One client's fault ends that client only.</summary>
internal sealed partial class ClientListener(
    DataPathServices services, ClientGreeting greeting, ClientAuthenticator authenticator, SessionRegistry registry, ITransportListener listener, ILogger logger) : IDisposable
{
    private const int CancelAttempts = 10;
    private static readonly TimeSpan CancelPause = TimeSpan.FromMilliseconds(5);

    /// <summary>The database that is the console.</summary>
    public const string ConsoleDatabase = "shardproxy";

    // Clients that are told to go are few milliseconds away, or do not listen.
    private static readonly TimeSpan LastWords = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan DismissEvery = TimeSpan.FromMilliseconds(10);

    private readonly CancellationTokenSource _stopping = new();
    private readonly ClientCounts _counts = new();
    private int _clients;
    private int _loggingIn;

    /// <summary>Connections that are served, those that log in and consoles included.</summary>
    public int ClientCount => Volatile.Read(ref _clients);

    /// <summary>Accepts until stopped.</summary>
    public async Task RunAsync()
    {
        while (await listener.AcceptAsync(_stopping.Token).ConfigureAwait(false) is { } connection)
        {
            services.Counters.AddConnection();

            // On this thread until the client has to be waited for, which is at once. What takes long in a login (keys from a password,
            // questions to the home node) leaves the thread by itself. A pool thread for each login cost more than the login.
            _ = ServeAsync(connection);
        }
    }

    /// <summary>Asked for cancel keys that no session here has.</summary>
    public Func<int, int, ValueTask>? CancelElsewhere { get; init; }

    /// <summary>Sends the listening socket to another process.</summary>
    public void SendTo(Socket channel) => listener.SendTo(channel);

    /// <summary>Takes no more clients; those that have connected already are served.</summary>
    public async ValueTask CloseAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await listener.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Tells every client to go, 57P01: at once, or after its transaction. Returns when all have gone or the token is cancelled.</summary>
    public async ValueTask DismissAsync(bool afterTransaction, CancellationToken cancellationToken)
    {
        while (registry.Count > 0 && !cancellationToken.IsCancellationRequested)
        {
            foreach (var session in registry.All())
            {
                if (session.EndAsked is not { StateSince: null } asked || (asked.AfterTransaction && !afterTransaction))
                {
                    session.AskToEnd(new EndRequest(LoginErrors.ShuttingDown, services.Time.GetTimestamp(), afterTransaction, StateSince: null));
                }
            }

            // Clients that were logging in become sessions meanwhile.
            await Task.Delay(DismissEvery, services.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Takes no more clients and cuts those that are left.</summary>
    public async ValueTask StopAsync()
    {
        await CloseAsync().ConfigureAwait(false);
        using (var grace = new CancellationTokenSource(LastWords, services.Time))
        {
            await DismissAsync(afterTransaction: false, grace.Token).ConfigureAwait(false);
        }

        foreach (var session in registry.All())
        {
            session.Connection.Abort();
            foreach (var server in session.HeldServers())
            {
                server.Abort();
            }
        }
    }

    public void Dispose() => _stopping.Dispose();

    private async Task ServeAsync(ITransportConnection accepted)
    {
        var channel = new ClientChannel(accepted);
        try
        {
            if (Interlocked.Increment(ref _clients) > services.Options.MaxClients)
            {
                await RefuseAsync(accepted, LoginErrors.TooManyClients).ConfigureAwait(false);
                return;
            }

            if (await LoginAsync(channel).ConfigureAwait(false) is { } identity)
            {
                await ServeAsync(channel.Connection, identity).ConfigureAwait(false);
            }
        }
        catch (ProtocolException e)
        {
            await TellAsync(channel.Connection, e).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ClientGoneException or IOException or OperationCanceledException or SocketException or ServerLostException)
        {
            // The client left; there is nobody to tell.
        }
        catch (Exception e)
        {
            Log.SessionFailed(logger, e);
        }
        finally
        {
            Interlocked.Decrement(ref _clients);
            await CloseQuietlyAsync(channel.Connection).ConfigureAwait(false);
        }
    }

    /// <summary>Everything up to AuthenticationOk; null when the client only wanted something cancelled, or was refused.</summary>
    private async ValueTask<ClientIdentity?> LoginAsync(ClientChannel channel)
    {
        using var deadline = new CancellationTokenSource(services.Options.LoginTimeout, services.Time);
        try
        {
            if (Interlocked.Increment(ref _loggingIn) > services.Options.MaxUnauthenticated)
            {
                await RefuseAsync(channel.Connection, LoginErrors.TooManyLogins).ConfigureAwait(false);
                return null;
            }

            var startup = await greeting.ReadStartupAsync(channel, deadline.Token).ConfigureAwait(false);
            if (startup.Kind == StartupKind.Cancel)
            {
                if (!await CancelAsync(startup.CancelProcessId, startup.CancelSecret).ConfigureAwait(false) && CancelElsewhere is { } elsewhere)
                {
                    await elsewhere(startup.CancelProcessId, startup.CancelSecret).ConfigureAwait(false);
                }

                return null;
            }

            var identity = await authenticator.AuthenticateAsync(channel, startup, deadline.Token).ConfigureAwait(false);
            if (identity is null)
            {
                if (channel.RefusedWith is { } code)
                {
                    services.Counters.AddRejected(code);
                }

                await channel.Connection.Output.FlushAsync(deadline.Token).ConfigureAwait(false);
            }

            return identity;
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            services.Counters.AddTimeout("login");
            throw;
        }
        finally
        {
            Interlocked.Decrement(ref _loggingIn);
        }
    }

    private async ValueTask ServeAsync(ITransportConnection connection, ClientIdentity identity)
    {
        if (string.Equals(identity.Database, ConsoleDatabase, StringComparison.Ordinal))
        {
            await ServeConsoleAsync(connection, identity).ConfigureAwait(false);
            return;
        }

        if (_counts.TryEnter(identity.User, identity.Database, services.Options) is not Admission.Free and var full)
        {
            await RefuseAsync(connection, full == Admission.UserFull ? LoginErrors.TooManyOfUser(identity.User) : LoginErrors.TooManyOfDatabase(identity.Database)).ConfigureAwait(false);
            return;
        }

        try
        {
            await ServeSessionAsync(connection, identity).ConfigureAwait(false);
        }
        finally
        {
            _counts.Leave(identity.User, identity.Database);
        }
    }

    private async ValueTask ServeSessionAsync(ITransportConnection connection, ClientIdentity identity)
    {
        services.Counters.AddSession();
        var session = registry.Add(services, connection, identity);

        // A client that leaves in the middle of a statement takes its servers' connections with it.
        await using var gone = connection.Closed.Register(static s => SessionEnding.Abandon((Session)s!), session).ConfigureAwait(false);
        try
        {
            await new ClientSession(session).RunAsync().ConfigureAwait(false);
        }
        finally
        {
            registry.Remove(session);
        }
    }

    private async ValueTask ServeConsoleAsync(ITransportConnection connection, ClientIdentity identity)
    {
        if (identity.ConsoleRole == ConsoleRole.None)
        {
            await RefuseAsync(connection, LoginErrors.ConsoleDenied).ConfigureAwait(false);
            return;
        }

        services.Counters.AddConsoleSession();
        foreach (var (name, value) in ConsoleParameters)
        {
            MessageWriter.ParameterStatus(connection.Output, name, value);
        }

        MessageWriter.BackendKeyData(connection.Output, 0, 0);
        MessageWriter.ReadyForQuery(connection.Output, (byte)'I');
        await connection.Output.FlushAsync(connection.Closed).ConfigureAwait(false);
        await new ConsoleSession(services, connection, identity).RunAsync().ConfigureAwait(false);
    }

    // What drivers want to know of a server.
    private static readonly (string Name, string Value)[] ConsoleParameters =
    [
        ("server_version", "15.0"), ("server_encoding", "UTF8"), ("client_encoding", "UTF8"), ("DateStyle", "ISO, MDY"), ("IntervalStyle", "postgres"),
        ("TimeZone", "UTC"), ("integer_datetimes", "on"), ("standard_conforming_strings", "on"), ("is_superuser", "off"),
    ];

    /// <summary>Cancels what the session with that key does; false when there is none.</summary>
    public async ValueTask<bool> CancelAsync(int processId, int secret)
    {
        if (registry.Find(processId, secret) is not { } session)
        {
            return false;
        }

        services.Counters.AddCancel();

        // The statement may have been sent just before and not have been read yet. The client waits until this connection ends, so that no
        // later statement of its own is hit; where nothing comes, PostgreSQL ignores such a request too.
        for (var attempt = 1; !await SessionEnding.CancelAsync(session).ConfigureAwait(false) && attempt < CancelAttempts; attempt++)
        {
            await Task.Delay(CancelPause, services.Time).ConfigureAwait(false);
        }

        return true;
    }

    private async ValueTask RefuseAsync(ITransportConnection connection, Model.Errors.ShardProxyError error)
    {
        services.Counters.AddRejected(error.Code);
        ClientReplies.Error(connection.Output, error, "FATAL");
        await connection.Output.FlushAsync(connection.Closed).ConfigureAwait(false);
    }

    private static async ValueTask TellAsync(ITransportConnection connection, ProtocolException e)
    {
        try
        {
            ClientReplies.Error(connection.Output, e.SqlState, e.Message, "FATAL");
            await connection.Output.FlushAsync(connection.Closed).ConfigureAwait(false);
        }
        catch (Exception inner) when (inner is IOException or OperationCanceledException or InvalidOperationException)
        {
            // It is gone already.
        }
    }

    private static async ValueTask CloseQuietlyAsync(ITransportConnection connection)
    {
        try
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // It is gone already.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1001, LogLevel.Error, "A client session failed and was closed")]
        public static partial void SessionFailed(ILogger logger, Exception exception);
    }
}
