using System.Diagnostics;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.Admin;

/// <summary>Prometheus' own checker of metrics, from Debian's package.</summary>
internal static class Promtool
{
    /// <summary>Runs <c>promtool check metrics</c>; returns its complaints, empty when it has none.</summary>
    public static async Task<string> CheckAsync(string metrics, CancellationToken cancellationToken = default)
    {
        var (exitCode, complaints) = await RunAsync(["check", "metrics"], metrics, cancellationToken);
        return exitCode == 0 ? complaints : $"exit code {exitCode}\n{complaints}";
    }

    /// <summary>Runs it with any arguments; its exit code and what it wrote.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(string[] arguments, string input = "", CancellationToken cancellationToken = default)
    {
        var path = await TestPrerequisites.EnsureProgramAsync("promtool", "prometheus", cancellationToken);
        using var process = Process.Start(new ProcessStartInfo(path, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var errors = process.StandardError.ReadToEndAsync(cancellationToken);
        await process.StandardInput.WriteAsync(input.AsMemory(), cancellationToken);
        process.StandardInput.Close();
        await process.WaitForExitAsync(cancellationToken);
        return (process.ExitCode, await output + await errors);
    }
}
