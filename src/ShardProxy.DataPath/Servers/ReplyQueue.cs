using ShardProxy.DataPath.Sessions;
using ShardProxy.DataPath.Types;

namespace ShardProxy.DataPath.Servers;

/// <summary>A request whose reply a server still owes, in the order of sending.</summary>
internal enum ReplyKind : byte
{
    /// <summary>Simple query: ends with ReadyForQuery.</summary>
    Query,
    Parse,
    Bind,
    DescribeStatement,
    DescribePortal,
    Execute,
    Close,
    FunctionCall,

    /// <summary>Ends with ReadyForQuery.</summary>
    Sync,
}

/// <summary>One owed reply.</summary>
/// <param name="Kind">What was asked.</param>
/// <param name="IsHidden">The proxy asked on its own account: the client must not see the answer.</param>
/// <param name="Statement">The statement a Parse or Describe is for.</param>
/// <param name="CanonicalId">The canonical statement that a Parse makes on the server or a Close ends there; 0 for none.</param>
/// <param name="Reading">How the rows of an Execute are to be translated; null for not at all.</param>
internal readonly record struct OwedReply(ReplyKind Kind, bool IsHidden, PreparedStatement? Statement = null, long CanonicalId = 0, ResultReading? Reading = null);

/// <summary>
/// Ring buffer of owed replies; grows, and is drained at <see cref="Capacity"/>. A connection with anything owed never goes back to a
/// pool (law 5).
/// </summary>
internal sealed class ReplyQueue
{
    /// <summary>With so many replies owed they are collected before anything more is sent: each holds on to its statement, a kilobyte or so.</summary>
    public const int Capacity = 1024;

    private OwedReply[] _ring = new OwedReply[16];
    private int _head;
    private int _count;

    public int Count => _count;

    public OwedReply Peek() => _ring[_head];

    public void Enqueue(ReplyKind kind, bool isHidden, PreparedStatement? statement = null, long canonicalId = 0, ResultReading? reading = null)
    {
        if (_count == _ring.Length)
        {
            var larger = new OwedReply[_count * 2];
            for (var i = 0; i < _count; i++)
            {
                larger[i] = _ring[(_head + i) & (_ring.Length - 1)];
            }

            _ring = larger;
            _head = 0;
        }

        _ring[(_head + _count) & (_ring.Length - 1)] = new OwedReply(kind, isHidden, statement, canonicalId, reading);
        _count++;
    }

    public OwedReply Dequeue()
    {
        var entry = _ring[_head];
        _head = (_head + 1) & (_ring.Length - 1);
        _count--;
        return entry;
    }


    public void Clear()
    {
        _head = 0;
        _count = 0;
    }
}
