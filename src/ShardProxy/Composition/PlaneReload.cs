using Microsoft.Extensions.Logging;
using ShardProxy.Configuration;
using ShardProxy.DataPath;

namespace ShardProxy.Composition;

/// <summary>The data plane's part of RELOAD: sizes, limits and time-outs of the new configuration, user file and certificates.</summary>
internal sealed class PlaneReload(DataPlane plane, DataPathOptions initial) : IReloadable
{
    public IEnumerable<string> Reload(ProxyOptions options)
    {
        var changed = DataPathSettings.Changed(initial, options);
        plane.Apply(changed);
        return plane.ReloadLogins(changed);
    }
}

/// <summary>The log's part: its level.</summary>
internal sealed class LogLevelSwitch(LogLevel initial) : IReloadable
{
    public LogLevel Level { get; private set; } = initial;

    public IEnumerable<string> Reload(ProxyOptions options)
    {
        Level = options.Log.Level;
        return [];
    }
}
