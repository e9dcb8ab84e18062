using System.Diagnostics;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.Admin;

/// <summary>Prometheus' own checker of metrics, from Debian's package.</summary>
internal static class Promtool
{
    /// <summary>Runs <c>promtool check metrics</c>; returns its complaints, empty when it has none.</summary>
    public static async Task<string> CheckAsync(string metrics, CancellationToken cancellationToken = default)
    {
        var path = await TestPrerequisites.EnsureProgramAsync("promtool", "prometheus", cancellationToken);
        using var process = Process.Start(new ProcessStartInfo(path, ["check", "metrics"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var errors = process.StandardError.ReadToEndAsync(cancellationToken);
        await process.StandardInput.WriteAsync(metrics.AsMemory(), cancellationToken);
        process.StandardInput.Close();
        await process.WaitForExitAsync(cancellationToken);
        var complaints = await output + await errors;
        return process.ExitCode == 0 ? complaints : $"exit code {process.ExitCode}\n{complaints}";
    }
}
