using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Login;

/// <summary>Who logged in and with what.</summary>
internal sealed record ClientIdentity(string User, ConsoleRole ConsoleRole, string Database, StartupRequest Startup);
