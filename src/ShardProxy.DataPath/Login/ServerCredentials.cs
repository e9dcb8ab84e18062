using System.Collections.Concurrent;
using ShardProxy.Wire.Auth;

namespace ShardProxy.DataPath.Login;

/// <summary>What the proxy has to log in to servers as one user. Immutable; never printed.</summary>
/// <param name="Password">Null when nobody has told it.</param>
/// <param name="Md5Hash">As good as the password for servers that ask for MD5.</param>
/// <param name="Keys">What the user has proven, newest first; each opens servers with that very verifier.</param>
internal sealed record ServerCredential(string? Password, string? Md5Hash, IReadOnlyList<ScramProvenKeys> Keys)
{
    public static readonly ServerCredential None = new(null, null, []);

    /// <summary>There is nothing to answer a server with.</summary>
    public bool IsEmpty => Password is null && Md5Hash is null && Keys.Count == 0;

    public override string ToString() => nameof(ServerCredential);
}

/// <summary>
/// What is known of each user for logging in to servers as that user: what the configuration says, and what clients have shown when they
/// logged in. In memory only, bounded. Thread-safe.
/// </summary>
internal sealed class ServerCredentials
{
    private const int MaxUsers = 10_000;

    // One for each password of the recent past: nodes may keep another verifier than the home node does.
    private const int MaxKeys = 4;

    private readonly ConcurrentDictionary<string, ServerCredential> _learned = new(StringComparer.Ordinal);
    private volatile Dictionary<string, LoginSecret> _written = [];

    /// <summary>What the configuration and the user file say.</summary>
    public void SetWritten(Dictionary<string, LoginSecret> written) => _written = written;

    /// <summary>Everything that may open a server for a user.</summary>
    public ServerCredential Of(string user)
    {
        var learned = _learned.GetValueOrDefault(user) ?? ServerCredential.None;
        return _written.GetValueOrDefault(user) is { } written
            ? new ServerCredential(learned.Password ?? written.Password, learned.Md5Hash ?? written.Md5Hash, learned.Keys)
            : learned;
    }

    /// <summary>A client has proven these keys.</summary>
    public void Learn(string user, ScramProvenKeys keys) =>
        Update(user, old => old with { Keys = [keys, .. old.Keys.Where(k => !k.IsOfSameVerifierAs(keys)).Take(MaxKeys - 1)] });

    /// <summary>A client has sent its password, and it was right.</summary>
    public void Learn(string user, string password) => Update(user, old => old with { Password = password, Md5Hash = Md5Password.Hash(user, password) });

    /// <summary>A client has proven the password of this hash.</summary>
    public void LearnHash(string user, string md5Hash) => Update(user, old => old with { Md5Hash = md5Hash });

    private void Update(string user, Func<ServerCredential, ServerCredential> change)
    {
        if (_learned.Count >= MaxUsers && !_learned.ContainsKey(user))
        {
            // Somebody's is forgotten until its next login.
            foreach (var (other, _) in _learned)
            {
                _learned.TryRemove(other, out _);
                break;
            }
        }

        _learned.AddOrUpdate(user, static (_, change) => change(ServerCredential.None), static (_, old, change) => change(old), change);
    }
}
