using ShardProxy.Configuration;

namespace ShardProxy.Demo;

/// <summary>What the demo needs running.</summary>
/// <param name="Nodes">PostgreSQL servers.</param>
/// <param name="InstallMissing">Install what is missing from the system's packages.</param>
/// <param name="Planner">The planner's settings; it starts in mode off.</param>
/// <param name="Front">
/// Called once a server with its name, host and port; returns the host and port at which proxy, control plane and other nodes reach it.
/// </param>
/// <param name="Output">Takes lines of progress.</param>
internal sealed record DemoClusterRequest(
    int Nodes, bool InstallMissing, PlannerSettings Planner, Func<string, string, int, (string Host, int Port)> Front, Action<string> Output);
