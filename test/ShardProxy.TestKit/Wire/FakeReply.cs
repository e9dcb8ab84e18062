namespace ShardProxy.TestKit.Wire;

/// <summary>
/// What <see cref="FakeBackend"/> does about one statement: a sequence of steps, each sending bytes, waiting or cutting the connection.
/// Immutable; <see cref="Then"/> joins two.
/// </summary>
public sealed class FakeReply
{
    private FakeReply(params IReadOnlyList<Step> steps) => Steps = steps;

    internal enum Ending
    {
        None,
        Close,
        Reset,
    }

    internal IReadOnlyList<Step> Steps { get; }

    /// <summary>True if one of the steps sends an ErrorResponse built by <see cref="Error"/>.</summary>
    internal bool IsError { get; private init; }

    /// <summary>What RowDescription Describe answers with; null for NoData.</summary>
    internal string[]? Columns { get; private init; }

    /// <summary>A result with text columns. The description goes out only where the protocol has it.</summary>
    public static FakeReply Rows(string[] columns, params string?[][] rows) => new(
        new Step([.. rows.SelectMany(r => Backend.DataRow(r)), .. Backend.CommandComplete($"SELECT {rows.Length}")]))
    {
        Columns = columns,
    };

    /// <summary>A command without rows.</summary>
    public static FakeReply Command(string tag) => new(new Step(Backend.CommandComplete(tag)));

    /// <summary>An error; in the extended protocol everything up to Sync is then skipped.</summary>
    public static FakeReply Error(string sqlState, string message) => new(new Step(Backend.ErrorResponse(sqlState, message))) { IsError = true };

    /// <summary>Any bytes: messages out of order, garbage, half a message.</summary>
    public static FakeReply Raw(params byte[][] bytes) => new(new Step([.. bytes.SelectMany(b => b)]));

    /// <summary>Answers nothing until the gate opens.</summary>
    public static FakeReply Stall(Task gate) => new(new Step([], gate));

    /// <summary>Closes the connection with a FIN; nothing more is sent, no ReadyForQuery either.</summary>
    public static FakeReply Cut() => new(new Step([], Ending: Ending.Close));

    /// <summary>Closes the connection with a reset.</summary>
    public static FakeReply Reset() => new(new Step([], Ending: Ending.Reset));

    /// <summary>This reply, then another.</summary>
    public FakeReply Then(FakeReply next) => new([.. Steps, .. next.Steps]) { IsError = IsError || next.IsError, Columns = Columns ?? next.Columns };

    internal sealed record Step(byte[] Bytes, Task? Gate = null, Ending Ending = Ending.None);
}
