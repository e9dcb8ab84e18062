using System.IO.Pipelines;
using System.Net;

namespace ShardProxy.Wire.Transport;

/// <summary>
/// One open byte stream. Each pipe has one owner at a time; reading and writing may go on at once on two threads.
/// </summary>
/// <remarks>
/// <para><b>Reading.</b> A FIN completes <see cref="Input"/>. After a reset its reads throw an <see cref="IOException"/>, after
/// <see cref="Abort"/> an <see cref="OperationCanceledException"/> that belongs to no token of the caller's. The socket is no longer
/// read once more than the threshold lies unexamined; a reader that examines everything and consumes nothing is therefore never
/// stuck, but has to bound its own buffer.</para>
/// <para><b>Writing.</b> A flush waits while the peer does not take what was written: Kestrel's until less than the threshold is unsent, that
/// of the epoll transport until all is sent. Nothing may be written while a flush waits. After the stream is gone a flush does not throw: its
/// result is completed, and what was written is dropped.</para>
/// <para><b>Continuations</b> may run on the thread that polls the sockets: never block there.</para>
/// </remarks>
public interface ITransportConnection : IAsyncDisposable
{
    /// <summary>Bytes from the peer.</summary>
    PipeReader Input { get; }

    /// <summary>Bytes to the peer.</summary>
    PipeWriter Output { get; }

    /// <summary>The peer's address, null if the system did not tell.</summary>
    EndPoint? RemoteEndPoint { get; }

    /// <summary>
    /// Cancelled, on a pool thread, when the peer has closed its side, the stream broke or was aborted. While the reader is behind by
    /// more than the threshold the socket is not read, so a closing peer is noticed only after the reader has caught up. Disposal by the
    /// owner does not cancel it.
    /// </summary>
    CancellationToken Closed { get; }

    /// <summary>What <see cref="Closed"/> tells, for who only looks: no token has to be made for it.</summary>
    bool IsClosed { get; }

    /// <summary>
    /// Closes the socket now: unsent bytes are lost, pending reads end. Safe from any thread, any number of times. The connection is
    /// still to be disposed.
    /// </summary>
    void Abort();

    // DisposeAsync: sends what was flushed, then closes. A peer that does not take it is aborted after the transport's close timeout.
}
