namespace ShardProxy.Stress.Hostile;

/// <summary>What went wrong, from any thread; bounded, for one cause may show up a thousand times.</summary>
internal sealed class Findings
{
    private const int Bound = 50;

    private readonly Lock _lock = new();
    private readonly List<string> _all = [];

    public void Add(string finding)
    {
        lock (_lock)
        {
            if (_all.Count < Bound)
            {
                _all.Add(finding);
            }
        }
    }

    public IReadOnlyList<string> Snapshot()
    {
        lock (_lock)
        {
            return [.. _all];
        }
    }
}
