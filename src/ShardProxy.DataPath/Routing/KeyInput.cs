using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>The values a statement's keys are read from: the literals of its text and its bound parameters.</summary>
/// <param name="text">The statement's text.</param>
/// <param name="literals">Its literals.</param>
/// <param name="parameters">Its parameters; null for a simple query.</param>
internal readonly ref struct KeyInput(ReadOnlySpan<byte> text, LiteralList literals, BoundParameters? parameters)
{
    public ReadOnlySpan<byte> Text { get; } = text;

    public LiteralList Literals { get; } = literals;

    public BoundParameters? Parameters { get; } = parameters;
}
