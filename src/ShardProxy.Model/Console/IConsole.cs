namespace ShardProxy.Model.Console;

/// <summary>The admin console behind <c>dbname=shardproxy</c>. The data path speaks the protocol, this answers.</summary>
public interface IConsole
{
    /// <summary>
    /// Runs one console statement (without its semicolon). Never throws for a bad statement: the reply carries the error.
    /// Long commands (SHARD TABLE, MOVE) return when done; cancellation comes from the client's cancel request or its leaving
    /// and ends only the wait, never the work half-done.
    /// </summary>
    ValueTask<ConsoleReply> ExecuteAsync(string statement, string user, CancellationToken cancellationToken);

    /// <summary>The same for somebody who may look, not touch: what would change anything fails with SHP-128.</summary>
    ValueTask<ConsoleReply> ExecuteReadOnlyAsync(string statement, string user, CancellationToken cancellationToken);
}
