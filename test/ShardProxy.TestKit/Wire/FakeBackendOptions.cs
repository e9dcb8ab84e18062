namespace ShardProxy.TestKit.Wire;

/// <summary>How <see cref="FakeBackend"/> greets.</summary>
public sealed record FakeBackendOptions
{
    /// <summary>Set: SCRAM-SHA-256 with this password for every user. Null: trust.</summary>
    public string? Password { get; init; }

    /// <summary>Set: every login is answered with this error instead.</summary>
    public (string SqlState, string Message)? LoginError { get; init; }

    /// <summary>Set: nothing is answered to a start-up message until the gate opens.</summary>
    public Task? LoginGate { get; init; }

    /// <summary>The first login that waits for the gate, counted from 1.</summary>
    public int LoginGateFrom { get; init; } = 1;

    /// <summary>ParameterStatus values after the login.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Parameters { get; init; } =
    [
        new("server_version", "15.18"), new("server_encoding", "UTF8"), new("client_encoding", "UTF8"), new("DateStyle", "ISO, MDY"),
        new("TimeZone", "UTC"), new("integer_datetimes", "on"), new("standard_conforming_strings", "on"),
    ];

    /// <summary>What to do about a statement's text; the default completes everything with <c>OK</c>.</summary>
    public Func<string, FakeReply> Reply { get; init; } = _ => FakeReply.Command("OK");
}
