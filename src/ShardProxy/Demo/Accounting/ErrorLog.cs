namespace ShardProxy.Demo.Accounting;

/// <summary>Counts client errors and keeps the first few, each kind once.</summary>
internal sealed class ErrorLog
{
    private const int MostKept = 5;

    private readonly Lock _lock = new();
    private readonly List<string> _kept = [];
    private long _count;

    public long Count => Interlocked.Read(ref _count);

    public IReadOnlyList<string> Kept
    {
        get
        {
            lock (_lock)
            {
                return [.. _kept];
            }
        }
    }

    public void Add(string message)
    {
        Interlocked.Increment(ref _count);
        lock (_lock)
        {
            if (_kept.Count < MostKept && !_kept.Contains(message, StringComparer.Ordinal))
            {
                _kept.Add(message);
            }
        }
    }
}
