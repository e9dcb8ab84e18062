namespace ShardProxy.Demo.Accounting;

/// <summary>
/// How unevenly the nodes were loaded: the busiest node's statements over the mean of all nodes, averaged over short intervals and
/// weighted by load. 1 is even, the number of nodes is everything on one.
/// </summary>
internal sealed class ImbalanceMeter
{
    private double _weighted;
    private double _weight;

    public double Value => _weight == 0 ? 1 : _weighted / _weight;

    /// <summary>Adds one interval.</summary>
    /// <param name="served">Statements of each node in it.</param>
    public void Add(ReadOnlySpan<long> served)
    {
        long sum = 0, max = 0;
        foreach (var count in served)
        {
            sum += count;
            max = Math.Max(max, count);
        }

        if (sum > 0)
        {
            _weighted += (double)max * served.Length / sum * sum;
            _weight += sum;
        }
    }
}
