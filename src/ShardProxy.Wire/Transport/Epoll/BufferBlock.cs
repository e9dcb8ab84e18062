using System.Buffers;

namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>A piece of a pipe's buffer, with its memory. Has one owner: the reader or writer that took it, until it gives it back.</summary>
internal sealed class BufferBlock : ReadOnlySequenceSegment<byte>
{
    /// <summary>
    /// 16 KiB: a result of any size is relayed in pieces of this, and larger ones gained nothing that could be measured on loopback.
    /// </summary>
    public const int Bytes = 16 * 1024;

    private BufferBlock(int bytes)
    {
        Array = GC.AllocateUninitializedArray<byte>(bytes);
        Memory = Array;
    }

    public byte[] Array { get; }

    /// <summary>The block that follows in the chain.</summary>
    public BufferBlock? Following => (BufferBlock?)Next;

    /// <summary>A block of at least <paramref name="bytes"/>.</summary>
    public static BufferBlock Take(int bytes = 0) => bytes <= Bytes ? Pool.Take() : new BufferBlock(bytes);

    /// <summary>Ends this block's part of the chain at <paramref name="end"/> and lets <paramref name="next"/> follow.</summary>
    public void Link(int end, BufferBlock next)
    {
        Memory = Array.AsMemory(0, end);
        Next = next;
        next.RunningIndex = RunningIndex + end;
    }

    /// <summary>Gives it back; nobody may use it any more.</summary>
    public void Return()
    {
        Next = null;
        RunningIndex = 0;
        if (Array.Length == Bytes)
        {
            Memory = Array;
            Pool.Return(this);
        }
    }

    /// <summary>
    /// Free blocks: a few with each thread, where a warm transaction finds them without a lock, the rest in common. Bounded: a burst
    /// leaves no more than 4 MiB behind.
    /// </summary>
    private static class Pool
    {
        private const int MaxPerThread = 16;
        private const int MaxCommon = 256;

        private static readonly Lock CommonLock = new();
        private static readonly Stack<BufferBlock> Common = new();

        [ThreadStatic]
        private static BufferBlock?[]? _blocks;

        [ThreadStatic]
        private static int _count;

        public static BufferBlock Take()
        {
            if (_count > 0)
            {
                return _blocks![--_count]!;
            }

            lock (CommonLock)
            {
                if (Common.TryPop(out var block))
                {
                    return block;
                }
            }

            return new BufferBlock(Bytes);
        }

        public static void Return(BufferBlock block)
        {
            if (_count < MaxPerThread)
            {
                (_blocks ??= new BufferBlock?[MaxPerThread])[_count++] = block;
                return;
            }

            lock (CommonLock)
            {
                if (Common.Count < MaxCommon)
                {
                    Common.Push(block);
                }
            }
        }
    }
}
