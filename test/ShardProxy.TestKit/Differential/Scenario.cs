namespace ShardProxy.TestKit.Differential;

/// <summary>A value for a parameter, in text format; with a type, or 0 to let the server choose it.</summary>
internal readonly record struct Argument(string? Text, uint TypeOid = 0)
{
    public const uint Int4 = 23, Int8 = 20, TextType = 25, Numeric = 1700, Uuid = 2950, Date = 1082, Bool = 16;
}

/// <summary>One statement of a scenario.</summary>
/// <param name="Sql">Its text.</param>
/// <param name="IsOrdered">Its rows have one order only.</param>
/// <param name="Arguments">Its parameters' values; none lets it be sent by the simple protocol too.</param>
internal sealed record Step(string Sql, bool IsOrdered = false, params IReadOnlyList<Argument> Arguments)
{
    /// <summary>What is sent to a COPY … FROM STDIN.</summary>
    public string? Copy { get; init; }
}

/// <summary>Statements that belong together: one, or a block.</summary>
/// <param name="Steps">In order.</param>
/// <param name="Writes">Rows may differ afterwards.</param>
/// <param name="OwnBlock">It has its own BEGIN; any other may be put into a block.</param>
/// <param name="Last">Sent at the end, also when a step was refused.</param>
/// <param name="IsSimple">Sent by the simple protocol only.</param>
internal sealed record Scenario(IReadOnlyList<Step> Steps, bool Writes = false, bool OwnBlock = false, string? Last = null, bool IsSimple = false)
{
    public static Scenario Read(string sql, bool isOrdered = false, params Argument[] arguments) => new([new Step(sql, isOrdered, arguments)]);

    public static Scenario Write(string sql, params Argument[] arguments) => new([new Step(sql, false, arguments)], Writes: true);
}
