using System.Globalization;

namespace ShardProxy.TestKit.Tpcc;

/// <summary>The five transactions.</summary>
internal enum TpccKind
{
    NewOrder,
    Payment,
    OrderStatus,
    Delivery,
    StockLevel,
}

/// <summary>What the terminals have seen. Safe for all of them at once.</summary>
internal sealed class TpccCounts
{
    private readonly Lock _lock = new();
    private readonly Dictionary<TpccKind, List<double>> _milliseconds = Enum.GetValues<TpccKind>().ToDictionary(k => k, _ => new List<double>());

    /// <summary>New orders that were committed.</summary>
    public int Orders { get; private set; }

    /// <summary>Sum of the payments that were committed.</summary>
    public decimal Payments { get; private set; }

    /// <summary>Transactions run again after a deadlock or a conflict.</summary>
    public int Retries { get; private set; }

    public void Ordered()
    {
        lock (_lock)
        {
            Orders++;
        }
    }

    public void Paid(decimal amount)
    {
        lock (_lock)
        {
            Payments += amount;
        }
    }

    public void Retried()
    {
        lock (_lock)
        {
            Retries++;
        }
    }

    public void Took(TpccKind kind, double milliseconds)
    {
        lock (_lock)
        {
            _milliseconds[kind].Add(milliseconds);
        }
    }

    public IEnumerable<string> Lines()
    {
        yield return "transaction   count   p50 ms   p95 ms   max ms";
        foreach (var (kind, all) in _milliseconds)
        {
            all.Sort();
            yield return string.Create(CultureInfo.InvariantCulture, $"{kind,-12} {all.Count,6} {At(all, 50),8:F1} {At(all, 95),8:F1} {At(all, 100),8:F1}");
        }
    }

    private static double At(List<double> sorted, int percent) => sorted.Count == 0 ? 0 : sorted[Math.Min(sorted.Count - 1, sorted.Count * percent / 100)];
}
