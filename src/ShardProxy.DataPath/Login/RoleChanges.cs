namespace ShardProxy.DataPath.Login;

/// <summary>
/// When a client of this proxy last made, changed or dropped a role. For a moment after that (its block may still have to be committed) what the home node said
/// of roles before is not believed: who makes a role may log in as it at once. Thread-safe.
/// </summary>
internal sealed class RoleChanges(TimeProvider time)
{
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(2);

    private long _at;

    public bool IsRecent => Volatile.Read(ref _at) is not 0 and var at && time.GetElapsedTime(at) < Moment;

    /// <summary>A statement about roles has run.</summary>
    public void Note() => Volatile.Write(ref _at, time.GetTimestamp());
}
