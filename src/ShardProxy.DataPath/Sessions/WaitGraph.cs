namespace ShardProxy.DataPath.Sessions;

/// <summary>Who waits for whom, and the circles among them. Pure.</summary>
internal sealed class WaitGraph<T>
    where T : class
{
    private readonly Dictionary<T, List<T>> _waits = [];

    /// <summary>One cannot go on before the other does.</summary>
    public void Add(T waiter, T holder)
    {
        if (!ReferenceEquals(waiter, holder))
        {
            if (!_waits.TryGetValue(waiter, out var holders))
            {
                _waits[waiter] = holders = [];
            }

            holders.Add(holder);
        }
    }

    /// <summary>Circles, no two of which share a member; each in the order of waiting.</summary>
    public List<List<T>> Circles()
    {
        var circles = new List<List<T>>();
        var done = new HashSet<T>(ReferenceEqualityComparer.Instance);
        foreach (var start in _waits.Keys)
        {
            if (!done.Contains(start) && Find(start, done) is { } circle)
            {
                circles.Add(circle);
                done.UnionWith(circle);
            }
        }

        return circles;
    }

    // Depth first with a stack of its own: chains of waiters can be long.
    private List<T>? Find(T start, HashSet<T> done)
    {
        var path = new List<T> { start };
        var next = new List<int> { 0 };
        var onPath = new Dictionary<T, int>(ReferenceEqualityComparer.Instance) { [start] = 0 };
        while (path.Count > 0)
        {
            var at = path[^1];
            var holders = _waits.GetValueOrDefault(at);
            if (holders is null || next[^1] >= holders.Count)
            {
                done.Add(at);
                onPath.Remove(at);
                path.RemoveAt(path.Count - 1);
                next.RemoveAt(next.Count - 1);
                continue;
            }

            var holder = holders[next[^1]++];
            if (onPath.TryGetValue(holder, out var index))
            {
                return path[index..];
            }

            if (!done.Contains(holder))
            {
                onPath[holder] = path.Count;
                path.Add(holder);
                next.Add(0);
            }
        }

        return null;
    }
}
