using System.Runtime.InteropServices;

namespace ShardProxy.Sql.Caching;

/// <summary>A counter that many threads may increment without fighting over one cache line.</summary>
internal sealed class StripedCounter
{
    private readonly Cell[] _cells = new Cell[Math.Min(16, Environment.ProcessorCount)];

    public long Total
    {
        get
        {
            long sum = 0;
            for (var i = 0; i < _cells.Length; i++)
            {
                sum += Volatile.Read(ref _cells[i].Value);
            }

            return sum;
        }
    }

    public void Increment() => Interlocked.Increment(ref _cells[(uint)Thread.GetCurrentProcessorId() % (uint)_cells.Length].Value);

    [StructLayout(LayoutKind.Explicit, Size = 64)]
    private struct Cell
    {
        [FieldOffset(0)]
        public long Value;
    }
}
