namespace ShardProxy.DataPath.Sessions;

/// <summary>Remembers when a client last asked for the end of a backend, so that its victim can be told from a restart. Thread-safe.</summary>
internal sealed class KillWatch(TimeProvider time)
{
    // A backend ends when it next looks, or when its client has taken what it is being sent.
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(5);

    private long _last;

    public void Note() => Volatile.Write(ref _last, Math.Max(1, time.GetTimestamp()));

    public bool IsRecent
    {
        get
        {
            if (Volatile.Read(ref _last) is not (> 0 and var last))
            {
                return false;
            }

            if (time.GetElapsedTime(last) < Window)
            {
                return true;
            }

            // The clock need not be read for it again.
            Interlocked.CompareExchange(ref _last, 0, last);
            return false;
        }
    }
}
