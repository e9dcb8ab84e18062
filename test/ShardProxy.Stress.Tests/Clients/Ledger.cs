using System.Globalization;

namespace ShardProxy.Stress.Tests.Clients;

/// <summary>How a write was answered.</summary>
internal enum Answer
{
    Acknowledged,

    /// <summary>An error that says that nothing was written.</summary>
    Refused,

    /// <summary>08007, or the connection ended: it may have been written, or may be yet, as long as anything of its transaction is left on a server.</summary>
    Unknown,
}

/// <summary>
/// What one writer of its own rows knows of them: tokens, each inserted once and perhaps deleted once, and counters, which only grow. Whoever reads holds what he saw
/// against it. Thread-safe.
/// </summary>
internal sealed class Ledger(int client)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<long, Token> _tokens = [];
    private readonly Dictionary<long, Counter> _counters = [];

    public int Client => client;

    /// <summary>Of all its counters.</summary>
    public IReadOnlyList<long> CounterKeys
    {
        get
        {
            lock (_lock)
            {
                return [.. _counters.Keys];
            }
        }
    }

    public void AddCounter(long key)
    {
        lock (_lock)
        {
            _counters[key] = new Counter();
        }
    }

    /// <summary>An increment is about to be sent.</summary>
    public void BeginIncrement(long key)
    {
        lock (_lock)
        {
            _counters[key].High++;
        }
    }

    public void EndIncrement(long key, Answer answer)
    {
        lock (_lock)
        {
            var counter = _counters[key];
            counter.Low += answer == Answer.Acknowledged ? 1 : 0;
            counter.High -= answer == Answer.Refused ? 1 : 0;
        }
    }

    /// <summary>What a read that begins now must show at least.</summary>
    public long CounterFloor(long key)
    {
        lock (_lock)
        {
            return _counters[key].Floor;
        }
    }

    /// <summary>Holds a value read against what was known when the read began; null when it can be.</summary>
    public string? SeeCounter(long key, long value, long floor)
    {
        lock (_lock)
        {
            var counter = _counters[key];
            counter.Seen = Math.Max(counter.Seen, value);
            return value < floor ? Invariant($"counter {key} of client {client} went back: {value} read after {floor} was acknowledged or seen")
                : value > counter.High ? Invariant($"counter {key} of client {client} is {value}, but at most {counter.High} increments can have been done")
                : null;
        }
    }

    /// <param name="key">Its row.</param>
    /// <param name="pair">The row that was written in the same transaction, or 0.</param>
    public void BeginInsert(long key, long pair = 0)
    {
        lock (_lock)
        {
            _tokens[key] = new Token { Pair = pair };
        }
    }

    public void EndInsert(long key, Answer answer)
    {
        lock (_lock)
        {
            _tokens[key].State = answer switch { Answer.Acknowledged => TokenState.There, Answer.Refused => TokenState.Gone, _ => TokenState.Unknown };
        }
    }

    public void BeginDelete(long key)
    {
        lock (_lock)
        {
            _tokens[key].State = TokenState.Unknown;
            _tokens[key].Pair = 0;
        }
    }

    public void EndDelete(long key, Answer answer)
    {
        lock (_lock)
        {
            _tokens[key].State = answer switch { Answer.Acknowledged => TokenState.Gone, Answer.Refused => TokenState.There, _ => TokenState.Unknown };
        }
    }

    /// <summary>Keys of tokens that are there for certain.</summary>
    public IReadOnlyList<long> TokensThere()
    {
        lock (_lock)
        {
            return [.. _tokens.Where(t => t.Value.State == TokenState.There).Select(t => t.Key)];
        }
    }

    /// <summary>
    /// Holds all rows of this writer, read while it did nothing and nothing of it was under way, against what it knows; what was unknown is known then.
    /// </summary>
    /// <param name="tokens">Keys of its tokens that are there.</param>
    /// <param name="counters">Its counters.</param>
    public IEnumerable<string> Settle(IReadOnlySet<long> tokens, IReadOnlyDictionary<long, long> counters)
    {
        var found = new List<string>();
        lock (_lock)
        {
            foreach (var (key, token) in _tokens)
            {
                var isThere = tokens.Contains(key);
                if (token.State == TokenState.There && !isThere)
                {
                    found.Add(Invariant($"token {key} of client {client} was acknowledged and is lost"));
                }
                else if (token.State == TokenState.Gone && isThere)
                {
                    found.Add(Invariant($"token {key} of client {client} is there, although its insert was refused or its delete acknowledged"));
                }
                else if (token is { State: TokenState.Unknown, Pair: not 0 } && isThere != tokens.Contains(token.Pair))
                {
                    found.Add(Invariant($"half a transaction: of tokens {key} and {token.Pair} of client {client} only one is there"));
                }

                token.State = isThere ? TokenState.There : TokenState.Gone;
            }

            found.AddRange(tokens.Where(t => !_tokens.ContainsKey(t)).Select(t => Invariant($"token {t} of client {client} was never written")));
            foreach (var (key, counter) in _counters)
            {
                if (!counters.TryGetValue(key, out var value))
                {
                    found.Add(Invariant($"counter {key} of client {client} is lost"));
                    continue;
                }

                if (value < counter.Floor || value > counter.High)
                {
                    found.Add(Invariant($"counter {key} of client {client} is {value}; it must be from {counter.Floor} (acknowledged or seen) to {counter.High} (sent)"));
                }

                counter.Low = counter.High = counter.Seen = value;
            }

            // Those that are gone for certain stay gone: the last hundred are enough to see one come back.
            foreach (var key in _tokens.Where(t => t.Value.State == TokenState.Gone).Select(t => t.Key).OrderDescending().Skip(100).ToList())
            {
                _tokens.Remove(key);
            }
        }

        return found;
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private enum TokenState
    {
        Unknown,
        There,
        Gone,
    }

    private sealed class Token
    {
        public TokenState State { get; set; }

        public long Pair { get; set; }
    }

    private sealed class Counter
    {
        /// <summary>Acknowledged increments.</summary>
        public long Low { get; set; }

        /// <summary>Those, and the ones that may have been done or are being.</summary>
        public long High { get; set; }

        public long Seen { get; set; }

        public long Floor => Math.Max(Low, Seen);
    }
}
