using System.Collections.Concurrent;
using System.Text;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Gives every (text, parameter types) pair one id for the whole proxy, so that clients that prepare the same statement share it on
/// a server connection. Bounded: past the bound new pairs get ids that nobody shares.
/// </summary>
internal sealed class CanonicalStatements
{
    private const int Maximum = 100_000;

    private readonly ConcurrentDictionary<string, long> _ids = new(StringComparer.Ordinal);
    private long _last;

    /// <summary>The id of a statement.</summary>
    public long IdOf(ReadOnlySpan<byte> sql, ReadOnlySpan<byte> encodedTypes)
    {
        // One string as the key: types as hexadecimal, then the text; a text cannot begin inside the hexadecimal part.
        var key = string.Concat(Convert.ToHexString(encodedTypes), "|", Encoding.UTF8.GetString(sql));
        if (_ids.TryGetValue(key, out var id))
        {
            return id;
        }

        id = Interlocked.Increment(ref _last);
        return _ids.Count >= Maximum ? id : _ids.GetOrAdd(key, id);
    }

    /// <summary>The server-side name of an id.</summary>
    public static byte[] NameOf(long id) => Encoding.ASCII.GetBytes($"sp_{id}");
}
