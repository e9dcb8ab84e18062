using ShardProxy.Model.Console;

namespace ShardProxy.Admin.Backend;

/// <summary>The console of the proxy that leads, where that is another one.</summary>
public interface ILeaderConsole
{
    /// <summary>Another proxy leads and answers: what changes ranges and tables is its to do.</summary>
    bool IsElsewhere { get; }

    /// <summary>Has it carry a statement out. Cancelling ends the wait, there as here.</summary>
    ValueTask<ConsoleReply> AskAsync(string statement, string user, CancellationToken cancellationToken);
}
