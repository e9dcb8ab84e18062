using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Login;

/// <summary>Reads a client's answers to authentication requests.</summary>
internal static class LoginReader
{
    /// <summary>Payload of the next message, which has to be a password or SASL response.</summary>
    public static async ValueTask<byte[]> ReadAsync(ClientChannel channel, int maxBytes, string expected, CancellationToken cancellationToken)
    {
        try
        {
            var (tag, payload) = await FrameIo.ReadAsync(channel.Connection.Input, maxBytes, cancellationToken).ConfigureAwait(false);
            return tag == FrontendTag.Password ? payload : throw new ProtocolException("08P01", $"expected {expected} response");
        }
        catch (EndOfStreamException)
        {
            throw new ClientGoneException();
        }
    }
}
