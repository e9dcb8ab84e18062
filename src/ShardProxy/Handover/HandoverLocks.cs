namespace ShardProxy.Handover;

/// <summary>
/// Tells which processes of one proxy live, by two files of which each process keeps one locked: the system lets go of a lock when its
/// process ends, however it ends, and at no other time. So at most two live at once, and none is ever taken for dead that is not.
/// </summary>
internal sealed class HandoverLocks : IDisposable
{
    private readonly FileStream _own;
    private readonly string _other;

    private HandoverLocks(FileStream own, string other) => (_own, _other) = (own, other);

    /// <summary>Takes the free one of the two; null when both are taken.</summary>
    /// <param name="path">Of the socket; the files stand beside it.</param>
    /// <param name="isAlone">No other process lives.</param>
    /// <exception cref="IOException">The directory does not exist.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written to.</exception>
    public static HandoverLocks? TryTake(string path, out bool isAlone)
    {
        string[] files = [path + ".1.lock", path + ".2.lock"];
        var (first, second) = (TryLock(files[0]), TryLock(files[1]));
        isAlone = first is not null && second is not null;
        if (first is not null)
        {
            second?.Dispose();
            return new HandoverLocks(first, files[1]);
        }

        return second is null ? null : new HandoverLocks(second, files[0]);
    }

    /// <summary>The other process has ended.</summary>
    public bool IsOtherGone()
    {
        using var other = TryLock(_other);
        return other is not null;
    }

    public void Dispose() => _own.Dispose();

    private static FileStream? TryLock(string file)
    {
        try
        {
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1);
        }
        catch (IOException) when (File.Exists(file))
        {
            return null;
        }
    }
}
