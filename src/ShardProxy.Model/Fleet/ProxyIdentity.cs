namespace ShardProxy.Model.Fleet;

/// <summary>
/// Under which name a process is known to the nodes. A proxy that was expelled takes another one when it comes back: what it opened before stays barred.
/// Read from any thread.
/// </summary>
/// <param name="proxyId">As configured, different from every other proxy's.</param>
public sealed class ProxyIdentity(string proxyId)
{
    private string _instance = NameFor(proxyId);
    private TaskCompletionSource _renewed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Action<string>? _expelled;

    public string ProxyId { get; } = proxyId;

    /// <summary>The name at present.</summary>
    public string Instance => Volatile.Read(ref _instance);

    /// <summary>A name that nobody ever had.</summary>
    public string NewName() => NameFor(ProxyId);

    /// <summary>Takes a name. To be called when the others know it and this process routes by the truth.</summary>
    public void Use(string instance)
    {
        Volatile.Write(ref _instance, instance);
        Interlocked.Exchange(ref _renewed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
    }

    /// <summary>For whoever is told by a node that an instance is barred; completes when there is another.</summary>
    public Task RenewedAsync(string barred)
    {
        var renewed = Volatile.Read(ref _renewed).Task;
        if (Instance != barred)
        {
            return Task.CompletedTask;
        }

        Volatile.Read(ref _expelled)?.Invoke(barred);
        return renewed;
    }

    /// <summary>Who is to bring this process back under another name; once.</summary>
    public void OnExpelled(Action<string> listener) => Volatile.Write(ref _expelled, listener);

    private static string NameFor(string proxyId) => $"{proxyId}/{Guid.NewGuid():N}";
}
