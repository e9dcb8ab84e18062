using System.Globalization;
using ShardProxy.Model.Errors;
using ShardProxy.PgBench;

if (args is ["--help"] or ["-h"])
{
    Console.WriteLine(BenchOptions.Help);
    return 0;
}

BenchOptions options;
try
{
    options = BenchOptions.Parse(args);
}
catch (FormatException wrong)
{
    Console.Error.WriteLine(wrong.Message);
    Console.Error.WriteLine(BenchOptions.Help);
    return 2;
}

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    stop.Cancel();
};

try
{
    if (options.Kind != BenchKind.Throughput)
    {
        var isGood = options.Kind switch
        {
            BenchKind.Churn => await ChurnBench.RunAsync(options, Console.Error.WriteLine, stop.Token),
            BenchKind.Shards => await ShardBench.RunAsync(options, Console.Error.WriteLine, stop.Token),
            BenchKind.Sort => await SortBench.RunAsync(options, Console.Error.WriteLine, stop.Token),
            BenchKind.Moves => await MoveBench.RunAsync(options, Console.Error.WriteLine, stop.Token),
            BenchKind.Idle => await CrowdBench.IdleAsync(options, Console.Error.WriteLine, stop.Token),
            _ => await CrowdBench.ManyAsync(options, Console.Error.WriteLine, stop.Token),
        };
        return isGood ? 0 : 1;
    }

    var measurements = await Bench.RunAsync(options, line => Console.Error.WriteLine(line), stop.Token);
    var summaries = Summary.Of(options, measurements);
    if (options.JsonPath == "-")
    {
        using var standardOutput = Console.OpenStandardOutput();
        await Report.WriteJsonAsync(standardOutput, options, summaries, measurements);
    }
    else
    {
        Report.WriteTable(Console.Out, options, summaries, measurements);
        if (options.JsonPath is { } path)
        {
            await using var file = File.Create(path);
            await Report.WriteJsonAsync(file, options, summaries, measurements);
        }
    }

    foreach (var failure in measurements.Where(m => m.Failure is not null).DistinctBy(m => (m.Target, m.Mode)))
    {
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{failure.Target} fails in {failure.Mode} mode: {failure.Failure}"));
    }

    // pgbouncer before 1.21 cannot do prepared statements; ShardProxy and direct have to.
    return measurements.Any(m => m.Failure is not null && m.Target != "pgbouncer") ? 1 : 0;
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    return 130;
}
catch (ShardProxyException missing)
{
    Console.Error.WriteLine($"{missing.Error.Message} ({missing.Error.Code})");
    Console.Error.WriteLine(missing.Error.Hint);
    return missing.Error.Code == "SHP-701" ? 2 : 1;
}
catch (InvalidOperationException failed)
{
    Console.Error.WriteLine(failed.Message);
    return 1;
}
