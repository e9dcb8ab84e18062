using System.IO.Pipelines;
using System.Net.Security;

namespace ShardProxy.Wire.Tls;

/// <summary>
/// The clear side of an encrypted connection's reading. Reads the peer only as far as it is asked to, and holds no buffer while it
/// waits. Failures look as <see cref="Transport.ITransportConnection"/> promises.
/// </summary>
internal sealed class TlsInput(SslStream tls) : PipeReader
{
    // Leaves the stream open: it belongs to the connection.
    private readonly PipeReader _reader = Create(tls, new StreamPipeReaderOptions(bufferSize: 16 * 1024, minimumReadSize: 1024, leaveOpen: true, useZeroByteReads: true));

    /// <summary>Reads that end badly from now on were ended by this side.</summary>
    public bool IsAborted { get; set; }

    public override void AdvanceTo(SequencePosition consumed) => _reader.AdvanceTo(consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined) => _reader.AdvanceTo(consumed, examined);

    public override void CancelPendingRead() => _reader.CancelPendingRead();

    public override void Complete(Exception? exception = null) => _reader.Complete(exception);

    public override bool TryRead(out ReadResult result) => _reader.TryRead(out result);

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        var read = _reader.ReadAsync(cancellationToken);
        return read.IsCompletedSuccessfully ? read : WaitAsync(read, cancellationToken);
    }

    private async ValueTask<ReadResult> WaitAsync(ValueTask<ReadResult> read, CancellationToken cancellationToken)
    {
        try
        {
            return await read.ConfigureAwait(false);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested && e is not InvalidOperationException)
        {
            throw IsAborted ? new OperationCanceledException("the connection was aborted") : e as IOException ?? new IOException("the encrypted connection broke", e);
        }
    }
}
