using System.Collections.Immutable;
using ShardProxy.Model.Plans;

namespace ShardProxy.Admin.Backend;

/// <summary>One plan of the planner.</summary>
/// <param name="Id">As in <c>EXPLAIN PLAN</c>.</param>
/// <param name="MadeAt">When it was made.</param>
/// <param name="Mode">The mode in force for its group.</param>
/// <param name="State">One word, such as proposed, approved, executing, done, refused, failed, superseded.</param>
/// <param name="Steps">Each step as one readable line, in order.</param>
/// <param name="Reason">Why, in one sentence.</param>
/// <param name="Explanation">The whole story: loads, forecasts, projections; one line an element.</param>
public sealed record PlanSnapshot(
    int Id, DateTimeOffset MadeAt, PlannerMode Mode, string State, ImmutableArray<string> Steps, string Reason, ImmutableArray<string> Explanation);
