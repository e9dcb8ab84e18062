using System.Collections.Concurrent;
using ShardProxy.Model.Fleet;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Execution;

/// <summary>
/// Numbers of sequences drawn ahead, so that an INSERT costs no round trip for its key. A block grows while it is used up fast, and shrinks again. What is
/// left when the proxy ends is a gap, as after a rollback. Thread-safe.
/// </summary>
internal sealed class SequenceBlocks(ISequenceSource source, TimeProvider time)
{
    private const int MaxBlocks = 10_000;
    private const int MinSize = 8;
    private const int MaxSize = 4096;
    private static readonly TimeSpan Fast = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<(string Sequence, string? Role), Block> _blocks = new();

    /// <summary>Takes the next numbers.</summary>
    /// <param name="sequence">Qualified and quoted.</param>
    /// <param name="role">Who must have the right to use it, or null.</param>
    /// <param name="count">How many.</param>
    /// <exception cref="SequenceException">PostgreSQL's answer where there are no more.</exception>
    /// <exception cref="TimeoutException">The home node does not answer.</exception>
    public ValueTask<long[]> TakeAsync(string sequence, string? role, int count, CancellationToken cancellationToken)
    {
        if (_blocks.Count >= MaxBlocks)
        {
            _blocks.Clear();
        }

        return _blocks.GetOrAdd((sequence, role), static (_, b) => new Block(b.source, b.time), (source, time)).TakeAsync(sequence, role, count, cancellationToken);
    }

    /// <summary>A statement has run: after one that may have set a sequence, the next number is what that has said.</summary>
    public void Follow(StatementShape shape)
    {
        if (!_blocks.IsEmpty
            && (shape.Kind is StatementKind.Truncate or StatementKind.AlterTable or StatementKind.OtherDdl or StatementKind.Other or StatementKind.Unparsable
                || shape.Functions.Any(static f => f.Name == "setval")))
        {
            _blocks.Clear();
        }
    }

    private sealed class Block(ISequenceSource source, TimeProvider time)
    {
        private readonly Lock _lock = new();
        private readonly Queue<long> _numbers = new();
        private Task? _drawing;
        private int _size = MinSize;
        private long _refilled;

        public async ValueTask<long[]> TakeAsync(string sequence, string? role, int count, CancellationToken cancellationToken)
        {
            while (true)
            {
                Task drawing;
                lock (_lock)
                {
                    if (_numbers.Count >= count)
                    {
                        var taken = new long[count];
                        for (var i = 0; i < count; i++)
                        {
                            taken[i] = _numbers.Dequeue();
                        }

                        return taken;
                    }

                    drawing = _drawing ??= DrawAsync(sequence, role, count - _numbers.Count);
                }

                await drawing.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }

        // For all who wait. One of them may give up meanwhile: it goes on for the others.
        private async Task DrawAsync(string sequence, string? role, int missing)
        {
            await Task.Yield();
            try
            {
                var isFast = _refilled != 0 && time.GetElapsedTime(_refilled) < Fast;
                _size = Math.Clamp(isFast ? _size * 2 : _size / 2, MinSize, MaxSize);
                _refilled = time.GetTimestamp();
                var numbers = await source.DrawAsync(sequence, role, Math.Max(missing, _size), CancellationToken.None).ConfigureAwait(false);
                lock (_lock)
                {
                    foreach (var number in numbers)
                    {
                        _numbers.Enqueue(number);
                    }
                }
            }
            finally
            {
                lock (_lock)
                {
                    _drawing = null;
                }
            }
        }
    }
}
