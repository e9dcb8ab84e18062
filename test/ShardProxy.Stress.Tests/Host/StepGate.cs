namespace ShardProxy.Stress.Tests.Host;

/// <summary>
/// The fault points inside a proxy. Out goes <c>at⇥migration⇥step⇥before|after</c> for every step. In comes <c>stop⇥step⇥before|after</c>: the next time there it waits,
/// after it has told so, until <c>go</c>; a migration of another id, later, does not wait.
/// </summary>
internal sealed class StepGate(TextWriter output)
{
    private readonly Lock _lock = new();
    private string? _stop;
    private TaskCompletionSource _go = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task AtStepAsync(int migrationId, string step, bool isAfter)
    {
        var place = $"{step}\t{(isAfter ? "after" : "before")}";
        Task waits = Task.CompletedTask;
        lock (_lock)
        {
            if (_stop == place)
            {
                _stop = null;
                _go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                waits = _go.Task;
            }
        }

        Tell(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"at\t{migrationId}\t{place}"));
        return waits;
    }

    /// <summary>One line of the harness.</summary>
    public void Take(string line)
    {
        lock (_lock)
        {
            if (line == "go")
            {
                _go.TrySetResult();
            }
            else if (line.StartsWith("stop\t", StringComparison.Ordinal))
            {
                _stop = line["stop\t".Length..];
            }
        }
    }

    public void Tell(string line)
    {
        lock (_lock)
        {
            output.WriteLine(line);
            output.Flush();
        }
    }
}
