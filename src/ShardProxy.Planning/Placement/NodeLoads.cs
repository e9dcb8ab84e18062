using System.Collections.Immutable;

namespace ShardProxy.Planning.Placement;

/// <summary>
/// Predicted load of every node at every step under a placement that is being changed, and how bad it is. Expected loads add up;
/// interval widths add up partly, as errors of different ranges partly cancel.
/// </summary>
internal sealed class NodeLoads
{
    /// <summary>Load above a node's limit weighs so much more than load above its fair share.</summary>
    private const double OverloadWeight = 10;

    private readonly PlacementOptions _options;
    private readonly ImmutableArray<NodeSupply> _nodes;
    private readonly double[] _totals;
    private readonly double[] _weights;
    private readonly State[] _states;

    public NodeLoads(ImmutableArray<NodeSupply> nodes, IReadOnlyList<Piece> pieces, int horizon, PlacementOptions options)
    {
        _options = options;
        _nodes = nodes;
        Horizon = horizon;
        _totals = new double[horizon];
        _states = [.. nodes.Select(n => new State(horizon, n.BaseLoad))];
        foreach (var node in nodes)
        {
            for (var h = 0; h < horizon; h++)
            {
                _totals[h] += node.BaseLoad;
            }
        }

        foreach (var piece in pieces)
        {
            for (var h = 0; h < horizon; h++)
            {
                _totals[h] += piece.Mean[h];
            }

            _states[IndexOf(piece.NodeId)].Add(piece, 1, 0);
        }

        // Capacities count only when every node has one: a share of an unknown is unknown.
        HasCapacities = nodes.All(n => n.Capacity > 0);
        var sum = HasCapacities ? nodes.Sum(n => n.Capacity) : nodes.Length;
        _weights = [.. nodes.Select(n => (HasCapacities ? n.Capacity : 1) / sum)];
    }

    public int Horizon { get; }

    public bool HasCapacities { get; }

    /// <summary>First step by which every applied move is done.</summary>
    public int Settled { get; private set; }

    /// <summary>Mean of a node's load over the horizon if all were even.</summary>
    public double MeanLoad => _totals.Average() / _nodes.Length;

    /// <summary>Expected load of the whole cluster at its highest step.</summary>
    public double PeakTotal => _totals.Max();

    public int IndexOf(int nodeId)
    {
        for (var i = 0; i < _nodes.Length; i++)
        {
            if (_nodes[i].NodeId == nodeId)
            {
                return i;
            }
        }

        throw new ArgumentException($"node {nodeId} is not among the nodes to plan for", nameof(nodeId));
    }

    /// <summary>What a node's load should stay below at a step: its share of capacity, or its fair share with tolerance.</summary>
    public double Limit(int node, int step) => HasCapacities ? _nodes[node].Capacity * _options.HighWater : FairLimit(node, step);

    /// <summary>Upper quantile of a node's load.</summary>
    public double Upper(int node, int step) => _states[node].Upper(step, _options.ErrorCorrelation);

    public double Mean(int node, int step) => _states[node].Mean[step];

    /// <summary>The step at which a node is furthest above its limit, and by how much (negative when below everywhere).</summary>
    public (int Step, double Excess) Worst(int node)
    {
        var (step, excess) = (0, double.NegativeInfinity);
        for (var h = 0; h < Horizon; h++)
        {
            var over = Upper(node, h) - Limit(node, h);
            if (over > excess)
            {
                (step, excess) = (h, over);
            }
        }

        return (step, excess);
    }

    /// <summary>Highest upper quantile over the horizon from a step on.</summary>
    public double Peak(int node, int fromStep = 0)
    {
        double peak = 0;
        for (var h = Math.Min(fromStep, Horizon - 1); h < Horizon; h++)
        {
            peak = Math.Max(peak, Upper(node, h));
        }

        return peak;
    }

    /// <summary>How bad a node's load is, summed over the horizon.</summary>
    public double Badness(int node) => Badness(node, _states[node]);

    /// <summary>How much badness moving <paramref name="piece"/> takes away when it has left at step <paramref name="ready"/>.</summary>
    public double Gain(Piece piece, int target, int ready)
    {
        var source = IndexOf(piece.NodeId);
        var before = Badness(source) + Badness(target);
        var from = _states[source].Copy();
        var to = _states[target].Copy();
        Shift(piece, source, target, from, to, ready);
        return before - Badness(source, from) - Badness(target, to);
    }

    /// <summary>
    /// True when the target would end up above its limit, higher than it was going to be and higher than the source is: the trouble
    /// would only change place, perhaps to another hour.
    /// </summary>
    public bool OnlyShiftsTrouble(Piece piece, int target, int ready)
    {
        var to = _states[target].Copy();
        to.Add(piece, 1, ready);
        var (after, excess) = (0.0, double.NegativeInfinity);
        for (var h = ready; h < Horizon; h++)
        {
            var upper = to.Upper(h, _options.ErrorCorrelation);
            after = Math.Max(after, upper);
            excess = Math.Max(excess, upper - Limit(target, h));
        }

        return excess > 0 && after > Peak(target) && after > Peak(IndexOf(piece.NodeId));
    }

    /// <summary>Moves the piece's load from step <paramref name="ready"/> on.</summary>
    public void Apply(Piece piece, int target, int ready)
    {
        var source = IndexOf(piece.NodeId);
        Shift(piece, source, target, _states[source], _states[target], ready);
        Settled = Math.Max(Settled, ready);
    }

    private void Shift(Piece piece, int source, int target, State from, State to, int ready)
    {
        from.Add(piece, -1, ready);
        to.Add(piece, 1, ready);
        for (var h = 0; h < Math.Min(ready, Horizon); h++)
        {
            from.Copying[h] += CopyLoad(source);
            to.Copying[h] += CopyLoad(target);
        }
    }

    private double CopyLoad(int node) => _options.CopyLoadShare * (HasCapacities ? _nodes[node].Capacity : MeanLoad);

    private double FairLimit(int node, int step)
    {
        var fair = _totals[step] * _weights[node] * (1 + _options.BalanceTolerance);
        var quiet = _options.QuietShare * (HasCapacities ? _nodes[node].Capacity : MeanLoad);
        return Math.Max(fair, quiet);
    }

    private double Badness(int node, State state)
    {
        double sum = 0;
        for (var h = 0; h < Horizon; h++)
        {
            if (HasCapacities)
            {
                sum += OverloadWeight * Math.Max(0, state.Upper(h, _options.ErrorCorrelation) + state.Copying[h] - Limit(node, h));
            }

            sum += Math.Max(0, state.Mean[h] - FairLimit(node, h));
        }

        return sum;
    }

    private sealed class State
    {
        private readonly double[] _widths;
        private readonly double[] _squares;

        public State(int horizon, double baseLoad)
        {
            Mean = new double[horizon];
            Array.Fill(Mean, baseLoad);
            Copying = new double[horizon];
            _widths = new double[horizon];
            _squares = new double[horizon];
        }

        private State(State other)
        {
            Mean = [.. other.Mean];
            Copying = [.. other.Copying];
            _widths = [.. other._widths];
            _squares = [.. other._squares];
        }

        public double[] Mean { get; }

        public double[] Copying { get; }

        public State Copy() => new(this);

        public void Add(Piece piece, int sign, int fromStep)
        {
            for (var h = fromStep; h < Mean.Length; h++)
            {
                Mean[h] += sign * piece.Mean[h];
                _widths[h] += sign * piece.Width[h];
                _squares[h] += sign * piece.Width[h] * piece.Width[h];
            }
        }

        public double Upper(int step, double correlation)
        {
            var together = (correlation * _widths[step] * _widths[step]) + ((1 - correlation) * Math.Max(0, _squares[step]));
            return Mean[step] + Math.Sqrt(together);
        }
    }
}
