using System.Buffers;
using ShardProxy.DataPath.Servers;
using ShardProxy.Wire.Framing;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Carries the rows of a COPY TO STDOUT on one server into a COPY FROM STDIN on another, by header and byte count. What is on its way is bounded by the two
/// connections' buffers.
/// </summary>
internal static class CopyTransfer
{
    private const int FlushBytes = 64 * 1024;
    private const int MaxInspectedBytes = 32 * 1024;

    /// <summary>What became of one source.</summary>
    /// <param name="Error">Payload of the source's error, or null.</param>
    /// <param name="Bytes">COPY data carried.</param>
    /// <param name="Rows">CopyData messages carried: PostgreSQL sends one a row.</param>
    public readonly record struct Outcome(byte[]? Error, long Bytes, long Rows);

    /// <summary>
    /// Reads the source to its ReadyForQuery; one Query is owed by it. Behind <paramref name="maxBytes"/> or <paramref name="maxRows"/> nothing more is carried,
    /// only read.
    /// </summary>
    /// <exception cref="EndOfStreamException">The source or the target was lost; it is marked broken.</exception>
    public static async ValueTask<Outcome> RunAsync(ServerConnection source, ServerConnection? target, long maxBytes, long maxRows)
    {
        var carried = new Carried(source, target, maxBytes, maxRows);
        try
        {
            await carried.RunAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException or ProtocolException)
        {
            if (target is not { IsBroken: true })
            {
                source.GiveUp();
            }

            throw e as EndOfStreamException ?? new EndOfStreamException("the server was lost", e);
        }

        return new Outcome(carried.Error, carried.Bytes, carried.Rows);
    }

    private sealed class Carried(ServerConnection source, ServerConnection? target, long maxBytes, long maxRows) : FrameTransfer(source, MaxInspectedBytes)
    {
        public long Bytes { get; private set; }

        public long Rows { get; private set; }

        public ValueTask RunAsync() => ReadAsync(FlushAsync);

        protected override bool IsRow(byte tag) => tag == BackendTag.CopyData;

        protected override IBufferWriter<byte>? Route(in FrameHeader header, in ReadOnlySequence<byte> payload)
        {
            if (header.Tag != BackendTag.CopyData)
            {
                return null;
            }

            Bytes += header.PayloadBytes;
            Rows++;
            return Bytes <= maxBytes && Rows <= maxRows ? target?.Output : null;
        }

        private async ValueTask FlushAsync()
        {
            if (target is not { Output.UnflushedBytes: >= FlushBytes })
            {
                return;
            }

            try
            {
                await target.Output.FlushAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or InvalidOperationException)
            {
                target.GiveUp();
                throw new EndOfStreamException("the server was lost", e);
            }
        }
    }
}
