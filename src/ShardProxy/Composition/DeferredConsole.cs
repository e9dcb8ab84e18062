using ShardProxy.Model.Console;

namespace ShardProxy.Composition;

/// <summary>The console for the data plane, which is built before what the console shows.</summary>
internal sealed class DeferredConsole : IConsole
{
    private IConsole? _console;

    /// <summary>Called once, before the first client is served.</summary>
    public void Attach(IConsole console) => _console = console;

    private IConsole Console => _console ?? throw new InvalidOperationException("the console is not composed yet");

    public ValueTask<ConsoleReply> ExecuteAsync(string statement, string user, CancellationToken cancellationToken) =>
        Console.ExecuteAsync(statement, user, cancellationToken);

    public ValueTask<ConsoleReply> ExecuteReadOnlyAsync(string statement, string user, CancellationToken cancellationToken) =>
        Console.ExecuteReadOnlyAsync(statement, user, cancellationToken);
}
