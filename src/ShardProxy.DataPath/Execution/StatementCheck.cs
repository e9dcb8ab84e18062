using ShardProxy.DataPath.Servers;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>Lets a server read a statement without running it: its error is the one that PostgreSQL has for the statement as it is.</summary>
internal static class StatementCheck
{
    /// <summary>Parses and describes it as the unnamed statement; the result has the parameters' types and the columns.</summary>
    /// <exception cref="EndOfStreamException">The server was lost.</exception>
    public static async ValueTask<DialogResult> RunAsync(ServerConnection server, ReadOnlyMemory<byte> sql, uint[] types)
    {
        server.UnnamedStatement = null;
        MessageWriter.Parse(server.Output, ""u8, sql.Span, (server.Types?.TypesOnNode(types) ?? types).AsSpan());
        MessageWriter.Target(server.Output, FrontendTag.Describe, (byte)'S', ""u8);
        MessageWriter.Empty(server.Output, FrontendTag.Sync);
        server.Owed.Enqueue(ReplyKind.Sync, isHidden: true);
        await server.Output.FlushAsync().ConfigureAwait(false);
        return await SideDialog.CollectAsync(server).ConfigureAwait(false);
    }
}
