namespace ShardProxy.Demo.Accounting;

/// <summary>
/// What the clients were told: the sum and number of acknowledged changes of every account. What the servers hold in the end has to be
/// exactly this.
/// </summary>
internal sealed class ClientLedger(int accounts)
{
    private readonly long[] _balances = new long[accounts + 1];
    private readonly int[] _changes = new int[accounts + 1];
    private readonly int[] _entries = new int[accounts + 1];
    private readonly long[] _entrySums = new long[accounts + 1];
    private long _updateCount;
    private long _entryCount;

    public int Accounts { get; } = accounts;

    public long Updates => Interlocked.Read(ref _updateCount);

    public long Entries => Interlocked.Read(ref _entryCount);

    public void Updated(int account, int amount)
    {
        Interlocked.Add(ref _balances[account], amount);
        Interlocked.Increment(ref _changes[account]);
        Interlocked.Increment(ref _updateCount);
    }

    public void Inserted(int account, int amount)
    {
        Interlocked.Increment(ref _entries[account]);
        Interlocked.Add(ref _entrySums[account], amount);
        Interlocked.Increment(ref _entryCount);
    }

    /// <summary>What the account's row must say.</summary>
    public (long Balance, int Changes) Account(int account) => (_balances[account], _changes[account]);

    /// <summary>What the account's entries must say.</summary>
    public (int Count, long Sum) EntriesOf(int account) => (_entries[account], _entrySums[account]);
}
