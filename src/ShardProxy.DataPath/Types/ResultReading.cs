using ShardProxy.DataPath.Sessions;

namespace ShardProxy.DataPath.Types;

/// <summary>How the rows of one Execute are to be translated: known when they come, for the statement has been described until then.</summary>
/// <param name="statement">The statement executed.</param>
/// <param name="formats">Result formats of its Bind; must not change.</param>
internal sealed class ResultReading(PreparedStatement statement, short[] formats)
{
    private RowPatch? _patch;
    private bool _isKnown;

    /// <summary>Null when the rows stay as they are.</summary>
    public RowPatch? PatchFor(TypeTable table)
    {
        if (!_isKnown && statement.ResultTypes is { } types)
        {
            _patch = table.PatchFor(types, formats);
            _isKnown = true;
        }

        return _patch;
    }
}
