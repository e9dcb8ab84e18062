using System.Collections.Immutable;

namespace ShardProxy.Planning.Placement;

/// <summary>Finds the move that relieves one node best for the fewest bytes.</summary>
internal sealed class CandidateSearch(PlacementInput input, PlacementOptions options)
{
    /// <summary>Only the heaviest pieces of a node are cut: cutting a light one relieves nothing.</summary>
    private const int MostCutPieces = 3;

    private const int MostTargets = 4;

    /// <summary>A candidate this close to the best one may win by moving fewer bytes.</summary>
    private const double GoodEnough = 0.85;

    /// <summary>The best move off a node, or null when none is worth it.</summary>
    /// <param name="source">Index of the node to relieve.</param>
    /// <param name="pieces">The placement.</param>
    /// <param name="loads">Its loads.</param>
    /// <param name="earliest">Step at which an earlier move of the plan leaves room for this one to start.</param>
    public Candidate? Best(int source, IReadOnlyList<Piece> pieces, NodeLoads loads, double earliest)
    {
        var node = input.Nodes[source];
        if (!node.IsAvailable)
        {
            return null;
        }

        var (peak, _) = loads.Worst(source);
        var movable = pieces.Where(p => p.NodeId == node.NodeId && p.IsMovable).OrderByDescending(p => p.Mean[peak] + p.Width[peak]).ToList();
        var targets = Enumerable.Range(0, input.Nodes.Length)
            .Where(t => t != source && input.Nodes[t].IsAvailable)
            .OrderBy(t => loads.Upper(t, peak) / Math.Max(1e-9, loads.Limit(t, peak)))
            .Take(MostTargets)
            .ToImmutableArray();
        var candidates = new List<Candidate>();
        for (var i = 0; i < movable.Count; i++)
        {
            Consider(movable[i], 0, false, movable[i], targets, loads, earliest, candidates);
            if (i < MostCutPieces && pieces.Count(p => p.GroupId == movable[i].GroupId) < options.MaxRangesPerGroup)
            {
                ConsiderCuts(movable[i], peak, targets, loads, earliest, candidates);
            }
        }

        if (candidates.Count == 0)
        {
            return null;
        }

        var best = candidates.Max(c => c.Gain);
        return best <= 0
            ? null
            : candidates.Where(c => c.Gain >= GoodEnough * best)
                .OrderBy(c => c.Moved.Bytes)
                .ThenBy(c => c.CutAt == 0 ? 0 : 1)
                .ThenByDescending(c => c.Gain)
                .First();
    }

    /// <summary>Steps a move of so many bytes takes.</summary>
    public double Duration(long bytes) =>
        (options.MoveFixedTime.TotalSeconds + (bytes / options.MoveBytesPerSecond)) / options.StepLength.TotalSeconds;

    private void ConsiderCuts(Piece piece, int peak, ImmutableArray<int> targets, NodeLoads loads, double earliest, List<Candidate> candidates)
    {
        // Cuts between buckets without load are all alike: the borders that matter are where the running sum has grown.
        var total = piece.Mean[peak];
        var grain = total / 64;
        double sum = 0, lastCut = 0;
        for (var b = 1; b < piece.BucketCount; b++)
        {
            sum += piece.BucketMean(b - 1, peak);
            var next = piece.BucketMean(b, peak);
            if (sum - lastCut < grain && next < grain)
            {
                continue;
            }

            lastCut = sum;
            var (lower, upper) = piece.Cut(b);
            Consider(piece, b, true, lower, targets, loads, earliest, candidates);
            Consider(piece, b, false, upper, targets, loads, earliest, candidates);
        }
    }

    private void Consider(
        Piece whole, int cutAt, bool takesLower, Piece moved, ImmutableArray<int> targets, NodeLoads loads, double earliest, List<Candidate> candidates)
    {
        var ready = (int)Math.Ceiling(earliest + Duration(moved.Bytes));
        if (ready >= loads.Horizon)
        {
            return;
        }

        foreach (var target in targets)
        {
            if (GoesBack(moved, input.Nodes[target].NodeId))
            {
                continue;
            }

            var gain = loads.Gain(moved, target, ready);
            if (gain > 0 && !loads.OnlyShiftsTrouble(moved, target, ready))
            {
                candidates.Add(new Candidate(whole, cutAt, takesLower, moved, target, ready, gain));
            }
        }
    }

    private bool GoesBack(Piece piece, int targetNodeId)
    {
        foreach (var move in input.PastMoves)
        {
            if (move.SourceNodeId == targetNodeId && input.Now - move.At < options.ReturnBan && move.Overlaps(piece.GroupId, piece.From, piece.To))
            {
                return true;
            }
        }

        return false;
    }
}
