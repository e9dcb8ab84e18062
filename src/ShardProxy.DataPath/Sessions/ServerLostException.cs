using ShardProxy.DataPath.Servers;

namespace ShardProxy.DataPath.Sessions;

/// <summary>A server went away in the middle of a pipeline.</summary>
internal sealed class ServerLostException(ServerConnection server) : Exception
{
    public ServerConnection Server { get; } = server;
}
