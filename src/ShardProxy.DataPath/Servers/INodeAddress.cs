using System.Net;
using ShardProxy.Model.Topology;

namespace ShardProxy.DataPath.Servers;

/// <summary>Turns a node into the address to connect to.</summary>
public interface INodeAddress
{
    /// <summary>An address of the node; asked for every new connection, so that a changed name is followed.</summary>
    ValueTask<IPEndPoint> ResolveAsync(Node node, CancellationToken cancellationToken);
}

/// <summary>Resolution by the system's resolver; literals take no round trip.</summary>
public sealed class SystemNodeAddress : INodeAddress
{
    public async ValueTask<IPEndPoint> ResolveAsync(Node node, CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(node.Host, out var literal))
        {
            return new IPEndPoint(literal, node.Port);
        }

        var addresses = await Dns.GetHostAddressesAsync(node.Host, cancellationToken).ConfigureAwait(false);
        return addresses.Length > 0
            ? new IPEndPoint(addresses[0], node.Port)
            : throw new IOException($"the host name of node {node.Name} has no address");
    }
}
