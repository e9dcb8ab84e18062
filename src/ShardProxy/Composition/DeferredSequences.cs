using ShardProxy.Control;
using ShardProxy.Model.Fleet;

namespace ShardProxy.Composition;

/// <summary>Takes the data path's wish for numbers to the control plane, which is built later.</summary>
internal sealed class DeferredSequences : ISequenceSource
{
    private ControlPlane? _control;

    /// <summary>Called once, before the first client is served.</summary>
    public void Attach(ControlPlane control) => _control = control;

    public ValueTask<long[]> DrawAsync(string sequence, string? role, int count, CancellationToken cancellationToken) =>
        _control!.Sequences.DrawAsync(sequence, role, count, cancellationToken);
}
