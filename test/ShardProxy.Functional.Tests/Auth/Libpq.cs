using System.Diagnostics;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Functional.Tests.Auth;

/// <summary>psql, that is libpq: what most clients are made of.</summary>
internal static class Libpq
{
    /// <summary>Runs one command; returns exit code, output and errors.</summary>
    public static async Task<(int ExitCode, string Output, string Errors)> RunAsync(string connection, string? password, string command = "SELECT 1", CancellationToken cancellationToken = default)
    {
        var psql = await TestPrerequisites.EnsureClientProgramAsync("psql", cancellationToken);
        var start = new ProcessStartInfo(psql, ["-X", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-d", connection, "-c", command])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["PGPASSWORD"] = password ?? "", ["PGCONNECT_TIMEOUT"] = "20", ["LC_ALL"] = "C", ["PGAPPNAME"] = "libpq", ["HOME"] = Path.GetTempPath() },
        };
        if (password is null)
        {
            start.Environment.Remove("PGPASSWORD");
        }

        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var errors = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return (process.ExitCode, (await output).Trim(), (await errors).Trim());
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }
}
