using ShardProxy.Model.Errors;

namespace ShardProxy.Sql;

/// <summary>Where one statement lies in a text, and its shape when that is cached.</summary>
public readonly struct ScanResult
{
    internal ScanResult(ScanOutcome outcome, StatementShape? shape, ShardProxyError? error, int start, int end, int next)
    {
        Outcome = outcome;
        Shape = shape;
        Error = error;
        Start = start;
        End = end;
        Next = next;
    }

    public ScanOutcome Outcome { get; }

    /// <summary>Set when <see cref="Outcome"/> is <see cref="ScanOutcome.Found"/>.</summary>
    public StatementShape? Shape { get; }

    /// <summary>Set when <see cref="Outcome"/> is <see cref="ScanOutcome.Refused"/>.</summary>
    public ShardProxyError? Error { get; }

    /// <summary>Offset of the statement's first token.</summary>
    public int Start { get; }

    /// <summary>Offset after the statement's last token: no semicolon, trailing space or comment.</summary>
    public int End { get; }

    /// <summary>Where the next statement's scan begins: behind the semicolon, or the end of the text.</summary>
    public int Next { get; }
}
