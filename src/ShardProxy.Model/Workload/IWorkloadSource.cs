namespace ShardProxy.Model.Workload;

/// <summary>Where the control plane draws observed load from: the data path's recorder.</summary>
public interface IWorkloadSource
{
    /// <summary>
    /// Takes everything recorded since the last call (or since the start) and begins a new window. Called by one collector.
    /// </summary>
    WorkloadWindow TakeWindow();
}
