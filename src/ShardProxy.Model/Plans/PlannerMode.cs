namespace ShardProxy.Model.Plans;

/// <summary>How far the planner may go on its own (<c>SET PLANNER MODE</c>).</summary>
public enum PlannerMode
{
    /// <summary>Load is recorded, nothing is planned.</summary>
    Off = 0,

    /// <summary>Plans are made and shown, never carried out.</summary>
    Advise = 1,

    /// <summary>A plan is carried out after <c>APPROVE PLAN</c>.</summary>
    Approve = 2,

    /// <summary>Plans are carried out as they are made, within the guard's bounds.</summary>
    Automatic = 3,
}
