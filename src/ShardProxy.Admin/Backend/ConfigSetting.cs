namespace ShardProxy.Admin.Backend;

/// <summary>One configuration key.</summary>
/// <param name="Key">Dotted path, such as <c>pool.size</c>.</param>
/// <param name="Value">As text; never a secret.</param>
/// <param name="Source">default, file, environment or command line.</param>
public sealed record ConfigSetting(string Key, string Value, string Source);
