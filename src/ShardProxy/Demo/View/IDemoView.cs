namespace ShardProxy.Demo.View;

/// <summary>Shows the demo: drawn in place on a terminal, as plain lines elsewhere.</summary>
internal interface IDemoView
{
    /// <summary>A line that stays: what is being done.</summary>
    void Say(string line);

    /// <summary>Runs the workload's part of the demo and shows every frame it reports.</summary>
    Task ShowAsync(Func<Action<DemoFrame>, Task> workload);
}
