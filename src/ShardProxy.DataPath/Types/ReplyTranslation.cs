using System.Buffers;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Types;

/// <summary>
/// Translates the replies of a server whose node numbers the user's types otherwise than the home node, on their way to the client: descriptions, and rows that have OIDs
/// inside binary values. Everything else passes unseen.
/// </summary>
internal sealed class ReplyTranslation
{
    private RowPatch? _described;

    /// <summary>The frame is read whole before it goes on.</summary>
    public bool NeedsWhole(ServerConnection server, TypeTable table, in FrameHeader header) => header.PayloadBytes <= RowPatch.MaxRowBytes && Concerns(server, table, header.Tag);

    /// <summary>Translates the frame in place if it has anything to be translated.</summary>
    /// <returns>False when that cannot be done: the client must not see it.</returns>
    public bool TryTake(ServerConnection server, TypeTable table, byte tag, in ReadOnlySequence<byte> payload)
    {
        if (!Concerns(server, table, tag))
        {
            return true;
        }

        if (payload.IsEmpty)
        {
            return false;
        }

        return tag == BackendTag.DataRow ? PatchOf(server, table)!.TryApply(payload) : TryDescribe(server, table, tag, payload);
    }

    private bool Concerns(ServerConnection server, TypeTable table, byte tag) =>
        tag is BackendTag.RowDescription or BackendTag.ParameterDescription || (tag == BackendTag.DataRow && PatchOf(server, table) is not null);

    private RowPatch? PatchOf(ServerConnection server, TypeTable table) =>
        server.Owed.Count == 0 ? null : server.Owed.Peek() is { Kind: ReplyKind.Execute, Reading: var reading } ? reading?.PatchFor(table) : _described;

    private bool TryDescribe(ServerConnection server, TypeTable table, byte tag, in ReadOnlySequence<byte> payload)
    {
        var bytes = payload.IsSingleSegment ? RowPatch.Writable(payload.First) : payload.ToArray();
        var statement = server.Owed.Count > 0 && server.Owed.Peek().Kind is ReplyKind.DescribeStatement or ReplyKind.DescribePortal ? server.Owed.Peek().Statement : null;
        bool isDone;
        uint[] types;
        if (tag == BackendTag.ParameterDescription)
        {
            isDone = table.TryDescribeParameters(bytes, out types);
            statement?.ParameterTypes = types;
        }
        else
        {
            isDone = table.TryDescribeRow(bytes, statement is not null, out types, out _described);
            statement?.ResultTypes = types;
        }

        if (!payload.IsSingleSegment)
        {
            RowPatch.CopyBack(bytes, payload);
        }

        return isDone;
    }
}
