using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ShardProxy.Wire.Transport.Epoll;

/// <summary>
/// One thread with one epoll set: waits for sockets and calls who waits for them, inline. Each socket is registered once,
/// edge-triggered, so that a transaction costs no further calls than its own receives and sends. What must not run at once (a
/// connection that has had its share) takes its turn after the events at hand.
/// </summary>
internal sealed unsafe class EventLoop : IDisposable
{
    private const int BatchSize = 256;
    private const ulong WakeKey = 0;
    private const int AddOperation = 1;
    private const uint EdgeTriggered = 1u << 31;
    private const uint Watched = (uint)(SocketEvents.Readable | SocketEvents.Writable | SocketEvents.PeerClosed) | EdgeTriggered;

    // struct epoll_event is packed on x86-64 only.
    private static readonly bool IsPacked = RuntimeInformation.ProcessArchitecture == Architecture.X64;
    private static readonly int EventBytes = IsPacked ? 12 : 16;
    private static readonly int KeyOffset = IsPacked ? 4 : 8;

    private readonly int _epoll;
    private readonly int _wake;
    private readonly Action<Exception> _onBug;
    private readonly Thread _thread;
    private readonly Lock _lock = new();
    private readonly Stack<int> _freeSlots = new();
    private readonly ConcurrentQueue<Pollable> _turns = new();
    private Pollable?[] _slots = new Pollable?[64];
    private int _usedSlots = 1; // slot 0 is the wake-up's
    private uint _generation;
    private int _wakeIsPending;
    private volatile bool _isStopped;

    /// <summary>Starts the thread.</summary>
    /// <param name="name">Of the thread.</param>
    /// <param name="onBug">Told of exceptions that continuations let escape; the loop goes on.</param>
    /// <exception cref="System.Net.Sockets.SocketException">The process is out of descriptors.</exception>
    public EventLoop(string name, Action<Exception> onBug)
    {
        const int closeOnExec = 0x80000;
        const int nonBlocking = 0x800;
        _onBug = onBug;
        _epoll = NativeMethods.EpollCreate(closeOnExec);
        _wake = _epoll < 0 ? -1 : NativeMethods.EventDescriptor(0, closeOnExec | nonBlocking);
        if (_wake < 0 || Add(_wake, WakeKey) != 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            CloseDescriptors();
            throw Errno.ToException(errno);
        }

        _thread = new Thread(Run) { Name = name, IsBackground = true };
        _thread.UnsafeStart();
    }

    /// <summary>Watches a socket from now on; what is already there is reported too. 0, or errno.</summary>
    public int Register(int descriptor, Pollable target)
    {
        lock (_lock)
        {
            if (!_freeSlots.TryPop(out var slot))
            {
                slot = _usedSlots++;
                if (slot == _slots.Length)
                {
                    var larger = new Pollable?[slot * 2];
                    Array.Copy(_slots, larger, slot);
                    Volatile.Write(ref _slots, larger);
                }
            }

            // A slot is used again: events of its last socket that are still in the batch must not reach the next.
            target.Key = ((ulong)++_generation << 32) | (uint)slot;
            Volatile.Write(ref _slots[slot], target);
            var result = Add(descriptor, target.Key);
            if (result != 0)
            {
                Free(target);
            }

            return result;
        }
    }

    /// <summary>Forgets a socket that is about to be closed, which takes it out of the epoll set. Idempotent.</summary>
    public void Unregister(Pollable target)
    {
        lock (_lock)
        {
            Free(target);
        }
    }

    /// <summary>Forgets a socket whose description stays open elsewhere: closing it here would leave it in the epoll set.</summary>
    public void Unregister(int descriptor, Pollable target)
    {
        const int deleteOperation = 2;
        var unused = stackalloc byte[16];
        lock (_lock)
        {
            _ = NativeMethods.EpollControl(_epoll, deleteOperation, descriptor, unused);
            Free(target);
        }
    }

    /// <summary>Calls <see cref="Pollable.OnTurn"/> on the loop's thread, after the events at hand. From any thread.</summary>
    public void Post(Pollable target)
    {
        _turns.Enqueue(target);
        if (Thread.CurrentThread != _thread)
        {
            WakeUp();
        }
    }

    /// <summary>Stops the thread after the events at hand. Sockets have to be closed before. Not from the loop's own thread.</summary>
    public void Dispose()
    {
        if (_isStopped)
        {
            return;
        }

        _isStopped = true;
        WakeUp();
        if (Thread.CurrentThread != _thread)
        {
            _thread.Join();
        }
    }

    private void Free(Pollable target)
    {
        var slot = (int)(uint)target.Key;
        if (slot != 0)
        {
            target.Key = 0;
            Volatile.Write(ref _slots[slot], null);
            _freeSlots.Push(slot);
        }
    }

    private int Add(int descriptor, ulong key)
    {
        var @event = stackalloc byte[16];
        Unsafe.WriteUnaligned(@event, Watched);
        Unsafe.WriteUnaligned(@event + KeyOffset, key);
        return NativeMethods.EpollControl(_epoll, AddOperation, descriptor, @event) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    private void WakeUp()
    {
        if (Interlocked.Exchange(ref _wakeIsPending, 1) == 0)
        {
            var one = 1ul;
            _ = NativeMethods.Write(_wake, &one, sizeof(ulong));
        }
    }

    private void Run()
    {
        // Continuations run here inline and have no use for anybody's ambient data: nothing is captured and restored for each of them.
        ExecutionContext.SuppressFlow();
        var events = (byte*)NativeMemory.Alloc((nuint)(BatchSize * EventBytes));
        while (!_isStopped)
        {
            var count = NativeMethods.EpollWait(_epoll, events, BatchSize, _turns.IsEmpty ? -1 : 0);
            for (var i = 0; i < count; i++)
            {
                var at = events + (i * EventBytes);
                Dispatch(Unsafe.ReadUnaligned<ulong>(at + KeyOffset), (SocketEvents)Unsafe.ReadUnaligned<uint>(at));
            }

            // Only those that wait now: one that posts itself again waits for the next round.
            for (var turns = _turns.Count; turns > 0 && _turns.TryDequeue(out var target); turns--)
            {
                Call(target, SocketEvents.None);
            }
        }

        NativeMemory.Free(events);
        CloseDescriptors();
    }

    private void Dispatch(ulong key, SocketEvents events)
    {
        if (key == WakeKey)
        {
            ulong count;
            // In this order: a wake-up in between is not written, but what it announces is seen below.
            _ = NativeMethods.Read(_wake, &count, sizeof(ulong));
            Interlocked.Exchange(ref _wakeIsPending, 0);
            return;
        }

        if (Volatile.Read(ref Volatile.Read(ref _slots)[(uint)key]) is { } target && target.Key == key)
        {
            Call(target, events);
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = "A bug of one connection must not take the others' loop with it.")]
    private void Call(Pollable target, SocketEvents events)
    {
        try
        {
            if (events == SocketEvents.None)
            {
                target.OnTurn();
            }
            else
            {
                target.OnEvents(events);
            }
        }
        catch (Exception bug)
        {
            _onBug(bug);
        }
    }

    private void CloseDescriptors()
    {
        foreach (var descriptor in (ReadOnlySpan<int>)[_wake, _epoll])
        {
            if (descriptor >= 0)
            {
                _ = NativeMethods.Close(descriptor);
            }
        }
    }
}
