using System.Text;
using ShardProxy.Wire.Auth;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Login;

/// <summary>
/// SCRAM-SHA-256 with a client, with channel binding where the connection is encrypted (PostgreSQL documentation, "SASL Authentication").
/// Unknown users go the same way with a made-up verifier.
/// </summary>
internal sealed class ScramLogin(ScramMock mock, int maxMessageBytes)
{
    private const int SaslStart = 10;
    private const int SaslContinue = 11;
    private const int SaslFinal = 12;

    /// <summary>True when the client has proven the password; what it has shown of its keys is learned.</summary>
    /// <exception cref="ProtocolException">The client does not keep to SCRAM, or somebody is in between.</exception>
    public async ValueTask<bool> RunAsync(
        ClientChannel channel, string user, LoginSecret? secret, UserDirectory users, bool demandsBinding, CancellationToken cancellationToken)
    {
        var output = channel.Connection.Output;
        var binding = channel.Tls?.EndPointBinding;
        MessageWriter.Authentication(
            output,
            SaslStart,
            binding is null ? "SCRAM-SHA-256\0\0"u8 : demandsBinding ? "SCRAM-SHA-256-PLUS\0\0"u8 : "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"u8);
        await output.FlushAsync(cancellationToken).ConfigureAwait(false);
        var (isPlus, first) = Initial(await LoginReader.ReadAsync(channel, maxMessageBytes, "SASL", cancellationToken).ConfigureAwait(false));
        if (isPlus ? binding is null : demandsBinding)
        {
            throw new ProtocolException("08P01", "client selected an invalid SASL authentication mechanism");
        }

        var made = mock.For(user);
        var scram = new ScramServer(secret?.Verifier, made, binding, isPlus);
        var step = Checked(scram.ReceiveClientFirst(first));
        MessageWriter.Authentication(output, SaslContinue, step.Reply);
        await output.FlushAsync(cancellationToken).ConfigureAwait(false);
        step = scram.ReceiveClientFinal(await LoginReader.ReadAsync(channel, maxMessageBytes, "SASL", cancellationToken).ConfigureAwait(false));
        if (step.Failure == ScramFailure.Rejected)
        {
            return false;
        }

        MessageWriter.Authentication(output, SaslFinal, Checked(step).Reply);
        if (scram.ProvenKeys is { } keys && secret?.Password is null)
        {
            users.Credentials.Learn(user, keys);
        }

        return true;
    }

    // With PostgreSQL's words (auth-scram.c).
    private static ScramStep Checked(in ScramStep step) => step.IsOk
        ? step
        : throw new ProtocolException(step.SqlState, step.Failure switch
        {
            ScramFailure.Downgraded => "SCRAM channel binding negotiation error",
            ScramFailure.BindingMismatch => "SCRAM channel binding check failed",
            ScramFailure.Unsupported => step.Detail ?? "client requires an unsupported SCRAM extension",
            _ => "malformed SCRAM message",
        });

    // SASLInitialResponse: mechanism, length, data.
    private static (bool IsPlus, byte[] Data) Initial(byte[] payload)
    {
        var reader = new PayloadReader(payload);
        var mechanism = Encoding.ASCII.GetString(reader.ReadCString());
        if (mechanism is not (ScramServer.Mechanism or ScramServer.PlusMechanism))
        {
            throw new ProtocolException("08P01", "client selected an invalid SASL authentication mechanism");
        }

        var data = reader.ReadBytes(reader.ReadInt32()).ToArray();
        reader.RequireEnd();
        return (mechanism == ScramServer.PlusMechanism, data);
    }
}
