using ShardProxy.DataPath.Servers;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Routing;

/// <summary>The values a statement's keys are read from: the literals of its text and its bound parameters.</summary>
/// <param name="text">The statement's text.</param>
/// <param name="literals">Its literals.</param>
/// <param name="parameters">Its parameters; null for a simple query.</param>
/// <param name="settings">The session's settings; null when they are not known.</param>
internal readonly ref struct KeyInput(ReadOnlySpan<byte> text, LiteralList literals, BoundParameters? parameters, ReportedParameters? settings)
{
    private readonly ReportedParameters? _settings = settings;

    public ReadOnlySpan<byte> Text { get; } = text;

    public LiteralList Literals { get; } = literals;

    public BoundParameters? Parameters { get; } = parameters;

    /// <summary>Moments without an offset are UTC.</summary>
    public bool IsUtc => _settings?.IsUtc == true;
}
