using System.Collections.Immutable;
using ShardProxy.Model.Routing;
using ShardProxy.Planning.Placement;

namespace ShardProxy.Control.Planner;

/// <summary>
/// Remembers which parts of the key space changed owner, whoever asked for it, by comparing routing tables. Failed moves are
/// remembered too: what has just failed is left alone for a cool-down.
/// </summary>
internal sealed class MoveLedger(TimeSpan memory)
{
    private const int MostMoves = 1000;
    private const int NoNode = 0;

    private readonly Lock _lock = new();
    private RoutingTable? _seen;

    public ImmutableArray<PastMove> Moves { get; private set; } = [];

    /// <summary>Compares with the table seen last.</summary>
    public void See(RoutingTable table, Func<ShardRange, long> bytesOf, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (_seen is { } before && before.Epoch != table.Epoch)
            {
                foreach (var range in table.Groups.SelectMany(g => g.Ranges))
                {
                    if (before.FindGroup(range.GroupId) is { } group && group.Locate(range.From).NodeId is var owner && owner != range.NodeId)
                    {
                        Add(new PastMove(range.GroupId, range.From, range.To, owner, range.NodeId, now, bytesOf(range)));
                    }
                }
            }

            _seen = table;
            Moves = Moves.RemoveAll(m => now - m.At > memory);
        }
    }

    /// <summary>Remembers a move that failed: it counts for the cool-down, and came from nowhere it could not go back to.</summary>
    public void Failed(int groupId, long from, long? to, DateTimeOffset now)
    {
        lock (_lock)
        {
            Add(new PastMove(groupId, from, to, NoNode, NoNode, now));
        }
    }

    private void Add(PastMove move) => Moves = [.. Moves.TakeLast(MostMoves - 1), move];
}
