using System.Collections.Concurrent;
using System.Collections.Immutable;

namespace ShardProxy.DataPath.Routing;

/// <summary>
/// Migrations whose rollback window statements wait for at present. The control plane looks at it and closes those windows; a wish that is not repeated fades away.
/// </summary>
internal sealed class MoveWishes(TimeProvider time)
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(30);
    private readonly ConcurrentDictionary<int, long> _noted = new();

    /// <summary>The migrations; mostly none.</summary>
    public ImmutableArray<int> Current
    {
        get
        {
            if (_noted.IsEmpty)
            {
                return [];
            }

            foreach (var (migration, at) in _noted)
            {
                if (time.GetElapsedTime(at) > Lifetime)
                {
                    _noted.TryRemove(migration, out _);
                }
            }

            return [.. _noted.Keys];
        }
    }

    /// <summary>A statement waits for that migration to be over.</summary>
    public void Note(int migrationId) => _noted[migrationId] = time.GetTimestamp();
}
