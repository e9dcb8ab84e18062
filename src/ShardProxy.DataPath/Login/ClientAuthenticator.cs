using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.Extensions.Logging;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Model.Errors;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Login;

/// <summary>
/// Decides who a client is: looks for the rule, runs its method, and tells nobody but the log why a login failed. An unknown user, a
/// user without a fitting secret and a wrong password get the same messages for the same work.
/// </summary>
internal sealed partial class ClientAuthenticator(DataPathOptions initial, UserDirectory users, ILogger logger)
{
    private const int AuthenticationOk = 0;
    private const string CommonNameType = "2.5.4.3";

    // What PostgreSQL calls its newest minor version of protocol 3, as libpq compares it: the whole version word.
    private const int NewestProtocol = 3 << 16;

    private readonly ScramLogin _scram = new(users.Mock, initial.MaxLoginMessageBytes);
    private readonly PasswordLogin _password = new(users.Mock, initial.MaxLoginMessageBytes);
    private volatile DataPathOptions _options = initial;

    /// <summary>Logins that begin from now on go by these rules.</summary>
    public void Use(DataPathOptions options) => _options = options;

    /// <summary>Authenticates; returns null when the client was refused (it has been told, though not flushed to).</summary>
    public async ValueTask<ClientIdentity?> AuthenticateAsync(ClientChannel channel, StartupRequest startup, CancellationToken cancellationToken)
    {
        var options = _options;
        if (channel.Tls is null && options.DemandsTls)
        {
            return Refuse(channel, LoginErrors.EncryptionRequired);
        }

        if (channel.Tls is { HasUntrustedPeer: true })
        {
            return Refuse(channel, LoginErrors.UntrustedCertificate);
        }

        var user = startup["user"];
        if (string.IsNullOrEmpty(user))
        {
            return Refuse(channel, LoginErrors.NoUser);
        }

        if (startup["replication"] is { } replication && replication is not ("false" or "off" or "no" or "0"))
        {
            return Refuse(channel, LoginErrors.ReplicationRefused);
        }

        var database = startup["database"] is { Length: > 0 } named ? named : user;
        WriteNegotiation(channel, startup);
        if (FindRule(options, channel, database, user) is not { } rule)
        {
            return Refuse(channel, LoginErrors.NoRule(channel.Address, user, database, channel.Tls is not null));
        }

        if (await ProveAsync(channel, rule, options.AllowsCleartextPasswords, user, database, cancellationToken).ConfigureAwait(false) is { } refusal)
        {
            Log.Refused(logger, user, channel.Address?.ToString() ?? "", refusal.Code);
            return Refuse(channel, refusal);
        }

        MessageWriter.Authentication(channel.Connection.Output, AuthenticationOk);
        return new ClientIdentity(user, users.RoleOf(user), database, startup);
    }

    private static ClientIdentity? Refuse(ClientChannel channel, ShardProxyError error)
    {
        ClientReplies.Error(channel.Connection.Output, error, "FATAL");
        channel.RefusedWith = error.Code;
        return null;
    }

    /// <summary>Runs the rule's method; null when the client has proven itself.</summary>
    private async ValueTask<ShardProxyError?> ProveAsync(
        ClientChannel channel, AuthenticationRule rule, bool allowsCleartext, string user, string database, CancellationToken cancellationToken)
    {
        switch (rule.Method)
        {
            case ClientAuthentication.Reject:
                return LoginErrors.Rejected(channel.Address, user, database, channel.Tls is not null);
            case ClientAuthentication.Certificate:
                return CheckCertificate(channel.Tls?.PeerCertificate, rule, user);
            case ClientAuthentication.Password when channel.Tls is null && !allowsCleartext:
                return LoginErrors.CleartextRefused;
            case ClientAuthentication.ScramSha256Plus when channel.Tls?.EndPointBinding is null:
                return LoginErrors.EncryptionRequired;
        }

        UserLookup found;
        try
        {
            found = await users.FindAsync(user, cancellationToken).ConfigureAwait(false);
        }
        catch (LookupFailedException e)
        {
            Log.LookupFailed(logger, e.Message);
            return LoginErrors.LookupFailed;
        }

        var isProven = rule.Method switch
        {
            ClientAuthentication.Trust => found.IsKnown,
            ClientAuthentication.Md5 => await _password.Md5Async(channel, user, found.Secret, users, cancellationToken).ConfigureAwait(false),
            ClientAuthentication.Password => await _password.CleartextAsync(channel, user, found.Secret, users, cancellationToken).ConfigureAwait(false),
            _ => await _scram.RunAsync(channel, user, found.Secret, users, rule.Method == ClientAuthentication.ScramSha256Plus, cancellationToken).ConfigureAwait(false),
        };
        if (isProven)
        {
            var isTooWeak = !found.IsGuarded && rule.Method != ClientAuthentication.Trust && database == ClientListener.ConsoleDatabase && users.RoleOf(user) == ConsoleRole.Admin;
            return isTooWeak ? LoginErrors.UnguardedAdmin(user) : null;
        }

        users.ProofFailed(user);
        return LoginErrors.AuthenticationFailed(user);
    }

    private static ShardProxyError? CheckCertificate(X509Certificate2? certificate, AuthenticationRule rule, string user)
    {
        if (certificate is null)
        {
            return LoginErrors.NoCertificate;
        }

        if (CommonName(certificate) is not { } name)
        {
            return LoginErrors.CertificateFailed(user);
        }

        var mapped = rule.CertificateNames.Count == 0 ? name : rule.CertificateNames.GetValueOrDefault(name);
        return string.Equals(mapped, user, StringComparison.Ordinal) ? null : LoginErrors.CertificateFailed(user);
    }

    // The framework's simple name is something else where there is no common name: a department, an organisation, a mail address. None of those says
    // who somebody is. Nor do two common names, or one that shares its part of the name with others.
    private static string? CommonName(X509Certificate2 certificate)
    {
        var names = certificate.SubjectName.EnumerateRelativeDistinguishedNames().Where(n => n.HasMultipleElements || n.GetSingleElementType().Value == CommonNameType).ToArray();
        return names is [{ HasMultipleElements: false } only] ? only.GetSingleElementValue() : null;
    }

    private static AuthenticationRule? FindRule(DataPathOptions options, ClientChannel channel, string database, string user)
    {
        if (options.Rules.Count == 0)
        {
            return AuthenticationRule.ForAll(options.Authentication);
        }

        foreach (var rule in options.Rules)
        {
            if (rule.Matches(channel.Tls is not null, database, user, channel.Address))
            {
                return rule;
            }
        }

        return null;
    }

    // PostgreSQL documentation, "Message Formats": NegotiateProtocolVersion.
    private static void WriteNegotiation(ClientChannel channel, StartupRequest startup)
    {
        var unknown = startup.Parameters.Where(p => p.Key.StartsWith("_pq_.", StringComparison.Ordinal)).Select(p => p.Key).ToArray();
        if (startup.MinorVersion == 0 && unknown.Length == 0)
        {
            return;
        }

        var output = channel.Connection.Output;
        MessageWriter.Header(output, BackendTag.NegotiateProtocolVersion, 8 + unknown.Sum(n => Encoding.UTF8.GetByteCount(n) + 1));
        MessageWriter.Int32(output, NewestProtocol);
        MessageWriter.Int32(output, unknown.Length);
        foreach (var name in unknown)
        {
            MessageWriter.Text(output, name);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1101, LogLevel.Information, "Login of user {User} from {Address} refused: {Code}")]
        public static partial void Refused(ILogger logger, string user, string address, string code);

        [LoggerMessage(1102, LogLevel.Error, "Users cannot be looked up: {Reason}")]
        public static partial void LookupFailed(ILogger logger, string reason);
    }
}
