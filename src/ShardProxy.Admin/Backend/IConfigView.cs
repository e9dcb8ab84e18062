using System.Collections.Immutable;

namespace ShardProxy.Admin.Backend;

/// <summary>The configuration in force.</summary>
public interface IConfigView
{
    /// <summary>Ordered by key. Secrets are masked by whoever implements this.</summary>
    ImmutableArray<ConfigSetting> Settings();
}
