namespace ShardProxy.Wire.Auth;

/// <summary>The outcome of one message of a SCRAM exchange.</summary>
public readonly record struct ScramStep
{
    private ScramStep(ScramFailure failure, byte[] reply, string? detail)
    {
        Failure = failure;
        Reply = reply;
        Detail = detail;
    }

    /// <summary><see cref="ScramFailure.None"/> while the exchange goes well.</summary>
    public ScramFailure Failure { get; }

    /// <summary>The SASL data to send; empty when nothing is to be sent. The caller's to keep.</summary>
    public byte[] Reply { get; }

    /// <summary>A full sentence for the error's DETAIL, without secrets; null when it would help an attacker.</summary>
    public string? Detail { get; }

    /// <summary>True while the exchange goes well.</summary>
    public bool IsOk => Failure == ScramFailure.None;

    /// <summary>The SQLSTATE of the failure.</summary>
    public string SqlState => Failure switch
    {
        ScramFailure.None => "00000",
        ScramFailure.Malformed or ScramFailure.NonceMismatch => "08P01",
        ScramFailure.Unsupported => "0A000",
        ScramFailure.Rejected or ScramFailure.ServerRefused => "28P01",
        _ => "28000",
    };

    internal static ScramStep Ok(byte[] reply) => new(ScramFailure.None, reply, null);

    internal static ScramStep Failed(ScramFailure failure, string? detail = null) => new(failure, [], detail);
}
