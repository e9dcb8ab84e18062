namespace ShardProxy.Admin.Http;

/// <summary>One condition of <c>/readyz</c>.</summary>
/// <param name="Name">Short name, such as <c>catalog</c>.</param>
/// <param name="Check">Null when fulfilled, else the reason, without secrets.</param>
public sealed record ReadinessCheck(string Name, Func<CancellationToken, ValueTask<string?>> Check)
{
    /// <summary>Something worth knowing that is no reason against; null when there is nothing.</summary>
    public Func<string?> Note { get; init; } = static () => null;
}
