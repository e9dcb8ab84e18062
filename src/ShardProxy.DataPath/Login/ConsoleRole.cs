namespace ShardProxy.DataPath.Login;

/// <summary>What a user may do on the console.</summary>
internal enum ConsoleRole
{
    /// <summary>Not even connect to it.</summary>
    None,

    /// <summary>Look, not touch.</summary>
    Monitor,

    /// <summary>Everything.</summary>
    Admin,
}
