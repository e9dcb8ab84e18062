using System.Diagnostics;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;

namespace ShardProxy.Cluster.Tests.Drivers;

/// <summary>A program of the folder Programs: a driver of another language put through what its users do, one printed line a step.</summary>
/// <param name="Name">What the test is called after.</param>
/// <param name="Command">Program and arguments; the last is the source file below Programs, or what was built of it.</param>
internal sealed record DriverProgram(string Name, params string[] Command)
{
    /// <summary>Where the sources lie beside the tests.</summary>
    public static string Directory { get; } = Path.Combine(AppContext.BaseDirectory, "Drivers", "Programs");

    /// <summary>Runs it against one database, by libpq's variables only.</summary>
    public async Task<ProgramResult> RunAsync(string connectionString, CancellationToken cancellationToken)
    {
        var start = PostgresProgram.StartInfo(Command[0], Command[1..], connectionString);
        start.WorkingDirectory = Directory;
        start.Environment["PGSSLMODE"] = "disable";
        start.Environment["LC_ALL"] = "C.UTF-8";
        using var process = Process.Start(start)!;
        try
        {
            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
            var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            deadline.CancelAfter(TimeSpan.FromSeconds(60));
            try
            {
                await process.WaitForExitAsync(deadline.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                return new ProgramResult(-1, await output, $"did not end within a minute\n{await errors}");
            }

            return new ProgramResult(process.ExitCode, await output, await errors);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }
}
