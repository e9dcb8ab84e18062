namespace ShardProxy.DataPath;

/// <summary>The options in force. RELOAD puts others in their place; who reads one reads it anew every time.</summary>
internal sealed class LiveOptions(DataPathOptions initial)
{
    private volatile DataPathOptions _current = initial;

    public DataPathOptions Current => _current;

    public void Replace(DataPathOptions options) => _current = options;
}
