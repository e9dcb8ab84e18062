using System.Collections.Immutable;

namespace ShardProxy.Model.Views;

/// <summary>Why a statement did not simply go where its range was: words of SHOW REDIRECTIONS and of the metric's label.</summary>
public static class RedirectionReasons
{
    /// <summary>It waited while its range was cut over, then was planned again.</summary>
    public const string Held = "held";

    /// <summary>It waited until no range of its table moved, or until the table's new placement was known.</summary>
    public const string Waited = "waited";

    /// <summary>It waited as long as <c>limits.hold_timeout_ms</c> allows and was refused.</summary>
    public const string HoldTimeout = "hold_timeout";

    /// <summary>A closed write gate stopped it before it had any effect; it was planned again.</summary>
    public const string Fenced = "fenced";

    /// <summary>A closed write gate stopped it where it could not be repeated: the client got 40001.</summary>
    public const string FencedRefused = "fenced_40001";

    /// <summary>A read within the client's bound on staleness went to the node the range is moving to.</summary>
    public const string ReadAhead = "read_ahead";

    /// <summary>Longest text of a statement that is kept, in characters.</summary>
    public const int MaxShapeLength = 240;

    /// <summary>All of them.</summary>
    public static readonly ImmutableArray<string> All = [Held, Waited, HoldTimeout, Fenced, FencedRefused, ReadAhead];
}
