using System.Globalization;
using ShardProxy.Composition;
using ShardProxy.Configuration;
using ShardProxy.Control.Migration;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Stress.Tests.Host;

/// <summary>
/// A proxy as <c>serve</c> runs it, that tells every step of a migration on standard output and can be made to wait at one. It also finds out sooner than the product
/// that somebody is gone: a run has many faults. Ends with its standard input.
/// </summary>
internal static class ProxyHostProgram
{
    /// <param name="args">Configuration file, then optionally the names of a <see cref="MigrationMutant"/> and the seconds after which a silent proxy is barred, and for which a
    /// cutover may hold statements.</param>
    public static async Task<int> RunAsync(string[] args)
    {
        ProxyTransport.PrepareProcess();
        var loaded = ConfigurationLoader.LoadFile(args[0]);
        if (loaded.Options is not { } options)
        {
            Console.Error.WriteLine(string.Join('\n', loaded.Problems));
            return 2;
        }

        var mutant = args.Length > 1 ? Enum.Parse<MigrationMutant>(args[1]) : MigrationMutant.None;
        var silence = args.Length > 2 ? double.Parse(args[2], CultureInfo.InvariantCulture) : 10;
        var moves = new MigrationOptions { Mutant = mutant, RollbackWindow = TimeSpan.FromMilliseconds(500) };
        if (args.Length > 3)
        {
            var hold = TimeSpan.FromSeconds(double.Parse(args[3], CultureInfo.InvariantCulture));
            moves = moves with { HoldBudget = hold, DrainBudget = hold / 2 };
        }

        var steps = new StepGate(Console.Out);
        var proxy = ProxyComposition.Compose(
            options,
            moves with { AtStep = steps.AtStepAsync },
            control => control with
            {
                Silence = TimeSpan.FromSeconds(silence),
                InDoubtAge = TimeSpan.FromSeconds(2),
                InDoubtInterval = TimeSpan.FromSeconds(0.5),
            },
            plane => plane with { TrustsOldPlans = mutant == MigrationMutant.CachedPlan });
        await proxy.StartAsync(CancellationToken.None);
        steps.Tell("ready");

        // On a thread of its own: reading from the console blocks, and what runs here may be a thread of the sockets.
        await Task.Factory.StartNew(
            () =>
            {
                while (Console.In.ReadLine() is { } line)
                {
                    steps.Take(line);
                }
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
        await proxy.StopAsync();
        return 0;
    }
}
