using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using ShardProxy.Wire.Auth;

namespace ShardProxy.DataPath.Login;

/// <summary>
/// Who may log in, and what each one's proof is checked against: the configuration's users, then those of the user file, then what the
/// home node says. Thread-safe.
/// </summary>
/// <remarks>
/// A password that is written down here may have been changed on the server since. So the home node is asked about these users too; where
/// it disagrees it is believed, and while it does not answer, what is written is.
/// </remarks>
internal sealed partial class UserDirectory
{
    // Failed logins must not become questions one by one.
    private static readonly TimeSpan ForgetPause = TimeSpan.FromSeconds(1);

    private readonly AuthQuery? _query;
    private readonly ILogger _logger;
    private volatile Dictionary<string, ConsoleRole> _roles;
    private readonly ConcurrentDictionary<string, Verdict> _verdicts = new(StringComparer.Ordinal);
    private volatile Dictionary<string, LoginSecret?> _written;

    /// <exception cref="Model.Errors.ShardProxyException">The user file cannot be read.</exception>
    public UserDirectory(DataPathOptions options, ServerCredentials credentials, AuthQuery? query, ILogger logger)
    {
        _query = query;
        _logger = logger;
        Credentials = credentials;
        Mock = new ScramMock(options.MockSecret ?? System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));
        _roles = Roles(options);
        _written = ReadWritten(options);
    }

    /// <summary>Verifiers for users that do not exist.</summary>
    public ScramMock Mock { get; }

    /// <summary>What clients show when they log in goes there.</summary>
    public ServerCredentials Credentials { get; }

    public ConsoleRole RoleOf(string user) => _roles.GetValueOrDefault(user);

    /// <summary>Looks a user up. Unknown and known ones of the home node take the same way.</summary>
    /// <exception cref="LookupFailedException">It cannot be known at the moment.</exception>
    public async ValueTask<UserLookup> FindAsync(string user, CancellationToken cancellationToken)
    {
        if (_written.TryGetValue(user, out var written) && written is not null)
        {
            return await CurrentAsync(user, written, cancellationToken).ConfigureAwait(false);
        }

        var isWritten = _written.ContainsKey(user);
        if (_query is null)
        {
            return new UserLookup(isWritten, null, IsGuarded: false);
        }

        // Asked in any case, so that time does not tell names that are written down from those that are not. An entry without a password only
        // gives a role of the console.
        var stored = await _query.FindAsync(user, isOptional: isWritten || !_query.ServesUnwrittenUsers, cancellationToken).ConfigureAwait(false);
        return stored is { } found && _query.ServesUnwrittenUsers
            ? new UserLookup(found.Exists || isWritten, await SecretAsync(user, found.Password).ConfigureAwait(false), found.IsSuperuser)
            : new UserLookup(isWritten, null, IsGuarded: false);
    }

    /// <summary>A login failed: what is known of the user may be out of date.</summary>
    public void ProofFailed(string user) => _query?.Forget(user, ForgetPause);

    /// <summary>Takes other users and reads the user file again. Returns null, or why the users before stay; that is logged too.</summary>
    public string? Reload(DataPathOptions options)
    {
        try
        {
            _written = ReadWritten(options);
            _roles = Roles(options);
            _verdicts.Clear();
            return null;
        }
        catch (Model.Errors.ShardProxyException e)
        {
            Log.FileKept(_logger, e.Error.Message);
            return e.Error.Message;
        }
    }

    private async ValueTask<UserLookup> CurrentAsync(string user, LoginSecret written, CancellationToken cancellationToken)
    {
        var verdict = _verdicts.GetValueOrDefault(user);
        if (_query is null || await _query.FindAsync(user, isOptional: true, cancellationToken).ConfigureAwait(false) is not { } stored)
        {
            return Lookup(verdict);
        }

        // A role without a password logs in by other means there: what is written is for the proxy alone.
        if (stored.Password is null)
        {
            return Lookup(null);
        }

        if (verdict is null || verdict.Stored != stored.Password || verdict.IsSuperuser != stored.IsSuperuser)
        {
            var agrees = await AgreesAsync(user, written, stored.Password).ConfigureAwait(false);
            var secret = agrees ? written : await SecretAsync(user, stored.Password).ConfigureAwait(false) ?? written;
            verdict = new Verdict(stored.Password, secret, stored.IsSuperuser);
            _verdicts[user] = verdict;
            if (!agrees)
            {
                Log.Outdated(_logger, user);
            }
        }

        return Lookup(verdict);

        UserLookup Lookup(Verdict? said) =>
            said is null ? new(true, written, IsGuarded: true) : new(true, said.Secret, IsGuarded: said.IsSuperuser || said.Secret == written);
    }

    private async ValueTask<LoginSecret?> SecretAsync(string user, string? stored)
    {
        if (stored is null)
        {
            return null;
        }

        if (ScramVerifier.TryParse(stored, out var verifier))
        {
            // Made-up verifiers look like the newest real one.
            Mock.Iterations = verifier.Iterations;
        }
        else if (!Md5Password.IsHash(stored))
        {
            await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        }

        return LoginSecret.FromStored(user, stored, Mock);
    }

    private static async ValueTask<bool> AgreesAsync(string user, LoginSecret written, string stored)
    {
        if (ScramVerifier.TryParse(stored, out var verifier))
        {
            if (written.Password is not { } password)
            {
                return written.Verifier is { } own && own.IsSameAs(verifier);
            }

            await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            return verifier.IsPassword(password);
        }

        return Md5Password.IsHash(stored) ? written.Md5Hash == stored : written.Password == stored;
    }

    private static Dictionary<string, ConsoleRole> Roles(DataPathOptions options) => options.Users.ToDictionary(
        u => u.Name, u => u.IsAdmin ? ConsoleRole.Admin : u.IsMonitor ? ConsoleRole.Monitor : ConsoleRole.None, StringComparer.Ordinal);

    private Dictionary<string, LoginSecret?> ReadWritten(DataPathOptions options)
    {
        var all = new Dictionary<string, LoginSecret?>(StringComparer.Ordinal);
        if (options.UserFile is { } file)
        {
            foreach (var (name, secret) in UserFile.Read(file))
            {
                all[name] = LoginSecret.FromStored(name, secret, Mock);
            }
        }

        foreach (var user in options.Users)
        {
            if (user.Password is not null || !all.ContainsKey(user.Name))
            {
                all[user.Name] = user.Password is null ? null : LoginSecret.FromPassword(user.Name, user.Password, Mock);
            }
        }

        Credentials.SetWritten(all.Where(u => u.Value is not null).ToDictionary(u => u.Key, u => u.Value!, StringComparer.Ordinal));
        return all;
    }

    /// <summary>What the home node said last of a user that is written down, and what follows from it. A class: its text is never compared or printed by accident.</summary>
    private sealed class Verdict(string stored, LoginSecret secret, bool isSuperuser)
    {
        public string Stored { get; } = stored;

        public LoginSecret Secret { get; } = secret;

        public bool IsSuperuser { get; } = isSuperuser;
    }

    private static partial class Log
    {
        [LoggerMessage(1111, LogLevel.Warning, "The password of user {User} has been changed on the home node; what the configuration says is no longer used for logging in")]
        public static partial void Outdated(ILogger logger, string user);

        [LoggerMessage(1112, LogLevel.Error, "The user file could not be read again: {Reason}. The users before stay")]
        public static partial void FileKept(ILogger logger, string reason);
    }
}
