namespace ShardProxy.Model.Plans;

/// <summary>Where a plan stands.</summary>
public enum PlanState
{
    /// <summary>Made and not started: advice, or waiting for an approval.</summary>
    Proposed = 0,

    /// <summary>Approved; its first step is next.</summary>
    Approved = 1,

    /// <summary>A step is being carried out.</summary>
    Executing = 2,

    /// <summary>The first move ended well; the rest is planned again from what was then seen (receding horizon).</summary>
    Done = 3,

    /// <summary>The guard refused it; the outcome says why.</summary>
    Refused = 4,

    /// <summary>A step failed; the outcome says why.</summary>
    Failed = 5,

    /// <summary>A newer plan took its place before anything was done.</summary>
    Superseded = 6,
}
