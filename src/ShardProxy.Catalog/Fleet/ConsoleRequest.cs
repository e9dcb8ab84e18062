using ShardProxy.Model.Console;

namespace ShardProxy.Catalog.Fleet;

/// <summary>A console statement on its way from a proxy that follows to the one that leads, and its answer on the way back. One document, which both write.</summary>
public sealed record ConsoleRequest
{
    /// <summary>Id of the proxy whose client waits.</summary>
    public required string From { get; init; }

    /// <summary>Id of the proxy that led when it was asked.</summary>
    public required string To { get; init; }

    /// <summary>The statement's text. None of those that are passed on has a secret in it.</summary>
    public required string Statement { get; init; }

    /// <summary>Who has logged in to the console; may change things.</summary>
    public required string User { get; init; }

    /// <summary>The process that carries it out; null while none does. From here on it may have had effects.</summary>
    public string? TakenBy { get; init; }

    /// <summary>Nobody waits for the answer any more.</summary>
    public bool IsCancelled { get; init; }

    /// <summary>The answer; null while there is none.</summary>
    public ConsoleReply? Reply { get; init; }
}
