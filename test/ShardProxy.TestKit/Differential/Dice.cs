namespace ShardProxy.TestKit.Differential;

/// <summary>Choices from a seed: the same seed gives the same statements.</summary>
internal sealed class Dice(int seed)
{
    private readonly Random _random = new(seed);

    /// <summary>True in <paramref name="percent"/> of 100 throws.</summary>
    public bool Chance(int percent) => _random.Next(100) < percent;

    /// <summary>A number from <paramref name="from"/> to <paramref name="to"/>, both included.</summary>
    public int Number(int from, int to) => _random.Next(from, to + 1);

    public T Of<T>(IReadOnlyList<T> items) => items[_random.Next(items.Count)];

    public string Of(params string[] items) => items[_random.Next(items.Length)];

    /// <summary>Between <paramref name="least"/> and <paramref name="most"/> different items, in any order.</summary>
    public List<T> Some<T>(IReadOnlyList<T> items, int least, int most)
    {
        var all = items.ToArray();
        _random.Shuffle(all);
        return [.. all.Take(Math.Min(all.Length, Number(least, most)))];
    }
}
