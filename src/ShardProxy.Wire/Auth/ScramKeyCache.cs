using System.Security.Cryptography;
using System.Text;

namespace ShardProxy.Wire.Auth;

/// <summary>
/// Remembers the keys derived for (password, salt, iterations), so that opening another connection to a node costs no thousands of
/// hash rounds. Bounded: the oldest entry makes place. Holds no password, only a keyed digest of it. Thread-safe.
/// </summary>
public sealed class ScramKeyCache
{
    private readonly Dictionary<Key, ScramKeys> _entries = [];
    private readonly Queue<Key> _order = new();
    private readonly Lock _lock = new();
    private readonly byte[] _digestKey = RandomNumberGenerator.GetBytes(ScramKeys.Bytes);
    private readonly int _capacity;

    /// <param name="capacity">Most entries held; one a (node, user) is enough.</param>
    public ScramKeyCache(int capacity = 256)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        _capacity = capacity;
    }

    /// <summary>Entries held.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _entries.Count;
            }
        }
    }

    /// <summary>How often keys had to be derived.</summary>
    public long Derivations { get; private set; }

    /// <summary>The keys, derived on the calling thread when not known yet: milliseconds of processor time.</summary>
    internal ScramKeys Get(string password, ReadOnlySpan<byte> salt, int iterations)
    {
        var key = new Key(Convert.ToBase64String(HMACSHA256.HashData(_digestKey, Encoding.UTF8.GetBytes(password))), Convert.ToBase64String(salt), iterations);
        lock (_lock)
        {
            if (_entries.TryGetValue(key, out var known))
            {
                return known;
            }
        }

        // Outside the lock: two connections may derive the same keys at once, which is harmless.
        var derived = ScramKeys.Derive(password, salt, iterations);
        lock (_lock)
        {
            Derivations++;
            if (_entries.TryAdd(key, derived))
            {
                _order.Enqueue(key);
                if (_entries.Count > _capacity)
                {
                    _entries.Remove(_order.Dequeue());
                }
            }
        }

        return derived;
    }

    private readonly record struct Key(string PasswordDigest, string Salt, int Iterations);
}
