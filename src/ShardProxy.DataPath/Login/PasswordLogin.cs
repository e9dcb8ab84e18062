using System.Security.Cryptography;
using System.Text;
using ShardProxy.Wire.Auth;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Login;

/// <summary>The two older methods: MD5 with a salt, and the password in clear. An unknown user costs what a known one does.</summary>
internal sealed class PasswordLogin(ScramMock mock, int maxMessageBytes)
{
    private const int CleartextRequest = 3;
    private const int Md5Request = 5;

    /// <summary>Asks for md5(md5(password || user) || salt). A user of whom only a SCRAM verifier is known cannot log in like this.</summary>
    public async ValueTask<bool> Md5Async(ClientChannel channel, string user, LoginSecret? secret, UserDirectory users, CancellationToken cancellationToken)
    {
        var salt = RandomNumberGenerator.GetBytes(4);
        MessageWriter.Authentication(channel.Connection.Output, Md5Request, salt);
        var given = await AskAsync(channel, cancellationToken).ConfigureAwait(false);

        // Compared with something in every case.
        var hash = secret?.Md5Hash ?? "md5" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        var isRight = CryptographicOperations.FixedTimeEquals(given, Encoding.ASCII.GetBytes(Md5Password.RespondHash(hash, salt)));
        if (!isRight || secret?.Md5Hash is not { } known)
        {
            return false;
        }

        if (secret.Password is null)
        {
            users.Credentials.LearnHash(user, known);
        }

        return true;
    }

    /// <summary>Asks for the password itself, which is then known for logging in to servers.</summary>
    public async ValueTask<bool> CleartextAsync(ClientChannel channel, string user, LoginSecret? secret, UserDirectory users, CancellationToken cancellationToken)
    {
        MessageWriter.Authentication(channel.Connection.Output, CleartextRequest);
        var password = Encoding.UTF8.GetString(await AskAsync(channel, cancellationToken).ConfigureAwait(false));

        // Thousands of hash rounds, for whatever is known of the user: not on a thread that polls sockets.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var isVerifier = (secret?.Verifier ?? mock.For(user)).IsPassword(password) && secret?.Verifier is not null;
        var isHash = CryptographicOperations.FixedTimeEquals(
            Encoding.ASCII.GetBytes(Md5Password.Hash(user, password)), Encoding.ASCII.GetBytes(secret?.Md5Hash ?? new string('-', 35)));
        if (!isVerifier && !isHash)
        {
            return false;
        }

        if (secret?.Password is null)
        {
            users.Credentials.Learn(user, password);
        }

        return true;
    }

    // PasswordMessage: a string and nothing behind it. PostgreSQL refuses an empty one, which no role can have.
    private async ValueTask<byte[]> AskAsync(ClientChannel channel, CancellationToken cancellationToken)
    {
        await channel.Connection.Output.FlushAsync(cancellationToken).ConfigureAwait(false);
        var payload = await LoginReader.ReadAsync(channel, maxMessageBytes, "password", cancellationToken).ConfigureAwait(false);
        if (payload.Length == 0 || payload.AsSpan().IndexOf((byte)0) != payload.Length - 1)
        {
            throw new ProtocolException("08P01", "invalid password packet size");
        }

        return payload.Length > 1 ? payload[..^1] : throw new ProtocolException("28P01", "empty password returned by client");
    }
}
