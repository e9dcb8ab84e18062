using System.Diagnostics;
using Npgsql;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd.Tools;

/// <summary>PostgreSQL's own client programs: what users have, unchanged.</summary>
internal static class PostgresProgram
{
    /// <summary>psql without start-up file, aligned output switched off, stopping at the first error.</summary>
    public static Task<ProgramResult> PsqlAsync(string connectionString, CancellationToken cancellationToken, params string[] arguments) =>
        RunAsync("psql", connectionString, ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", .. arguments], null, cancellationToken);

    /// <summary>psql that reads a script; <c>\copy</c> and the like work.</summary>
    public static Task<ProgramResult> PsqlScriptAsync(string connectionString, string script, CancellationToken cancellationToken) =>
        RunAsync("psql", connectionString, ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"], script, cancellationToken);

    public static Task<ProgramResult> PgbenchAsync(string connectionString, CancellationToken cancellationToken, params string[] arguments) =>
        RunAsync("pgbench", connectionString, arguments, null, cancellationToken);

    public static Task<ProgramResult> PgDumpAsync(string connectionString, CancellationToken cancellationToken, params string[] arguments) =>
        RunAsync("pg_dump", connectionString, arguments, null, cancellationToken);

    /// <summary>A program with redirected streams that is told its database by libpq's variables.</summary>
    public static ProcessStartInfo StartInfo(string program, IReadOnlyList<string> arguments, string connectionString)
    {
        var target = new NpgsqlConnectionStringBuilder(connectionString);
        return new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["PGHOST"] = target.Host,
                ["PGPORT"] = $"{target.Port}",
                ["PGUSER"] = target.Username,
                ["PGPASSWORD"] = target.Password,
                ["PGDATABASE"] = target.Database,
                ["PGCONNECT_TIMEOUT"] = "20",
            },
        };
    }

    /// <summary>Runs a program of the server's directory to its end; a cancelled wait kills it.</summary>
    public static async Task<ProgramResult> RunAsync(
        string program, string connectionString, IReadOnlyList<string> arguments, string? input, CancellationToken cancellationToken)
    {
        var path = await TestPrerequisites.EnsureClientProgramAsync(program, cancellationToken);
        var start = StartInfo(path, arguments, connectionString);
        start.Environment["PSQL_PAGER"] = "";
        start.Environment["LC_ALL"] = "C";
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var errors = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.StandardInput.WriteAsync((input ?? "").AsMemory(), cancellationToken);
            process.StandardInput.Close();
            await process.WaitForExitAsync(cancellationToken);
            return new ProgramResult(process.ExitCode, await output, await errors);
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
