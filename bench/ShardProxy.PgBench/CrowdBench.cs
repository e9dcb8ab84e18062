using System.Globalization;

namespace ShardProxy.PgBench;

/// <summary>Idle clients' memory, and many clients that stay.</summary>
internal static class CrowdBench
{
    private static readonly TimeSpan SpeakPause = TimeSpan.FromSeconds(10);

    /// <summary>Resident set with idle clients against none.</summary>
    /// <remarks>
    /// The first clients of a process bring code and buffers with them that stay when they have left; the second time only what belongs to the clients is new.
    /// Both are told. None connected means: one client came, ran a statement, and left.
    /// </remarks>
    public static async Task<bool> IdleAsync(BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        await using var servers = await Servers.StartAsync(options with { Targets = ["direct", "shardproxy"] }, output, cancellationToken);
        var proxy = servers.Targets.Single(t => t.Name == "shardproxy");
        (await Crowd.GatherAsync(proxy.Port, 1, cancellationToken)).Dispose();
        foreach (var occasion in (string[])["first", "again"])
        {
            var none = await servers.CollectAsync(cancellationToken);
            using (await Crowd.GatherAsync(proxy.Port, options.Connections, cancellationToken))
            {
                var full = await servers.CollectAsync(cancellationToken);
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{occasion}: {options.Connections} idle clients ({options.Method}): resident {none.ResidentBytes / 1024.0:F0} -> {full.ResidentBytes / 1024.0:F0} KiB, {Each(full.ResidentBytes - none.ResidentBytes):F2} KiB each; managed heap {none.HeapBytes / 1024.0:F0} -> {full.HeapBytes / 1024.0:F0} KiB, {Each(full.HeapBytes - none.HeapBytes):F2} KiB each"));
            }

            await servers.EmptyAsync(cancellationToken);
        }

        return true;

        double Each(long bytes) => bytes / 1024.0 / options.Connections;
    }

    /// <summary>Many clients that stay, each running a statement every ten seconds or so; false when one was dropped.</summary>
    public static async Task<bool> ManyAsync(BenchOptions options, Action<string> output, CancellationToken cancellationToken)
    {
        var time = TimeProvider.System;
        await using var servers = await Servers.StartAsync(options with { Targets = ["direct", "shardproxy"] }, output, cancellationToken);
        var proxy = servers.Targets.Single(t => t.Name == "shardproxy");
        (await Crowd.GatherAsync(proxy.Port, 1, cancellationToken)).Dispose();
        var none = await servers.CollectAsync(cancellationToken);
        var started = time.GetTimestamp();
        using var crowd = await Crowd.GatherAsync(proxy.Port, options.Connections, cancellationToken);
        var connecting = time.GetElapsedTime(started);
        var cpu = proxy.Process!.CpuSeconds();
        output(string.Create(CultureInfo.InvariantCulture, $"{options.Connections} connected in {connecting.TotalSeconds:F1} s; they stay for {options.Seconds} s"));

        started = time.GetTimestamp();
        var talks = Enumerable.Range(0, options.Connections).Select(number => TalkAsync(crowd, number, TimeSpan.FromSeconds(options.Seconds), time, cancellationToken)).ToList();
        var results = (await Task.WhenAll(talks)).SelectMany(r => r).ToList();
        var staying = time.GetElapsedTime(started);
        cpu = proxy.Process!.CpuSeconds() - cpu;
        var full = await servers.CollectAsync(cancellationToken);
        var took = results.Where(r => r.Took is not null).Select(r => r.Took!.Value.TotalMilliseconds).Order().ToArray();
        var failures = results.Where(r => r.Failure is not null).Select(r => r.Failure!).ToList();
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{options.Connections} clients ({options.Method}) connected in {connecting.TotalSeconds:F1} s and stayed {staying.TotalSeconds:F1} s: {took.Length} statements, {failures.Count} clients dropped or refused; latency median {At(took, 0.5):F1} ms, 99 % {At(took, 0.99):F1} ms; proxy {cpu:F2} s of processor, resident {none.ResidentBytes / 1024.0 / 1024:F0} -> {full.ResidentBytes / 1024.0 / 1024:F0} MiB, {(full.ResidentBytes - none.ResidentBytes) / 1024.0 / options.Connections:F2} KiB each"));
        foreach (var failure in failures.GroupBy(f => f))
        {
            Console.Error.WriteLine($"{failure.Count()} times: {failure.Key}");
        }

        return failures.Count == 0;
    }

    // The last statement comes at the end, so that a client that was dropped on the way is found.
    private static async Task<List<(TimeSpan? Took, string? Failure)>> TalkAsync(Crowd crowd, int number, TimeSpan stay, TimeProvider time, CancellationToken cancellationToken)
    {
        var results = new List<(TimeSpan? Took, string? Failure)>();
        var started = time.GetTimestamp();
        await Task.Delay(SpeakPause * ((number % 997) / 997.0) * Math.Min(1, stay / SpeakPause), time, cancellationToken);
        while (true)
        {
            var result = await crowd.SpeakAsync(number, time, cancellationToken);
            results.Add(result);
            if (result.Failure is not null || time.GetElapsedTime(started) >= stay)
            {
                return results;
            }

            await Task.Delay(SpeakPause, time, cancellationToken);
        }
    }

    private static double At(double[] sorted, double share) => sorted.Length == 0 ? double.NaN : sorted[(int)((sorted.Length - 1) * share)];
}
