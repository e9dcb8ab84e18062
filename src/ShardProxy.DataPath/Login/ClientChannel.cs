using System.Net;
using ShardProxy.Wire.Tls;
using ShardProxy.Wire.Transport;

namespace ShardProxy.DataPath.Login;

/// <summary>A client's connection while it may still become an encrypted one. One owner at a time.</summary>
internal sealed class ClientChannel(ITransportConnection accepted)
{
    /// <summary>What to read and write now. Disposing it disposes what is below.</summary>
    public ITransportConnection Connection { get; private set; } = accepted;

    /// <summary>Code of the error with which the client was refused, or null.</summary>
    public string? RefusedWith { get; set; }

    /// <summary>The connection as an encrypted one; null while it is not.</summary>
    public TlsConnection? Tls => Connection as TlsConnection;

    /// <summary>The client's address without the IPv6 clothes of an IPv4 one; null when the system did not tell.</summary>
    public IPAddress? Address => (Connection.RemoteEndPoint as IPEndPoint)?.Address is { IsIPv4MappedToIPv6: true } mapped
        ? mapped.MapToIPv4()
        : (Connection.RemoteEndPoint as IPEndPoint)?.Address;

    /// <summary>Everything from here on is encrypted.</summary>
    public void Secure(TlsConnection tls) => Connection = tls;
}
