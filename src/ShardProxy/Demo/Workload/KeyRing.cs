using ShardProxy.Model.Keys;

namespace ShardProxy.Demo.Workload;

/// <summary>The demo's account numbers in the order of their hashes, so that a part of the key space can be made hot.</summary>
internal sealed class KeyRing
{
    private readonly int[] _accounts;

    /// <param name="count">Accounts are numbered from 1 to this.</param>
    public KeyRing(int count)
    {
        _accounts = [.. Enumerable.Range(1, count).OrderBy(account => KeyHash.Int64(account, KeyHash.FirstSeed))];
    }

    public int Count => _accounts.Length;

    /// <summary>The account at a place of the key space, 0 to 1; beyond the end it goes on at the start.</summary>
    public int At(double position) => _accounts[(int)(position % 1 * _accounts.Length)];
}
