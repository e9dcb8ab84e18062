namespace ShardProxy.Composition;

/// <summary>A part of the running proxy with a beginning and an end.</summary>
/// <param name="Name">For logs and for the message when it fails.</param>
/// <param name="StartAsync">Returns when the part works. Cancelled when the process is asked to end meanwhile.</param>
/// <param name="StopAsync">Returns when the part has ended; cancelled when its time is up. Called only if it had started.</param>
internal sealed record HostStage(string Name, Func<CancellationToken, Task> StartAsync, Func<CancellationToken, Task> StopAsync);
