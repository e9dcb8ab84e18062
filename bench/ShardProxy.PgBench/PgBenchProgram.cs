using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace ShardProxy.PgBench;

/// <summary>Runs pgbench and reads its summary.</summary>
internal sealed partial class PgBenchProgram(string pgbench, string psql, TimeProvider time)
{
    /// <summary>Creates and fills pgbench's tables through <paramref name="target"/>.</summary>
    public Task InitializeAsync(Target target, int scale, CancellationToken cancellationToken) =>
        MustRunAsync(pgbench, ["-i", "-q", "-s", Text(scale), .. Address(target.Port), Servers.Database], cancellationToken);

    /// <summary>Runs one statement, on the console when <paramref name="database"/> is its name.</summary>
    public Task StatementAsync(int port, string database, string statement, CancellationToken cancellationToken) =>
        MustRunAsync(psql, ["-X", "-q", "-v", "ON_ERROR_STOP=1", .. Address(port), "-d", database, "-c", statement], cancellationToken);

    /// <summary>Runs one statement and returns what it says.</summary>
    public async Task<string> AskAsync(int port, string database, string statement, CancellationToken cancellationToken) =>
        (await MustRunAsync(psql, ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", .. Address(port), "-d", database, "-c", statement], cancellationToken)).Trim();

    /// <summary>Runs <c>pgbench -S</c>, with a new connection for every transaction if <paramref name="reconnects"/>.</summary>
    public async Task<Measurement> MeasureAsync(
        Target target, string mode, int clients, int seconds, int round, CancellationToken cancellationToken, bool reconnects = false)
    {
        string[] arguments =
        [
            "-n", "-S", "-M", mode, "-c", Text(clients), "-j", Text(Math.Min(clients, Environment.ProcessorCount)), "-T", Text(seconds),
            .. reconnects ? ["-C"] : Array.Empty<string>(), .. Address(target.Port), Servers.Database,
        ];
        var cpuBefore = target.Process?.CpuSeconds();
        var (exitCode, output) = await RunAsync(pgbench, arguments, cancellationToken);
        var cpuUsed = target.Process?.CpuSeconds() - cpuBefore;
        var transactions = Figure(Processed(), output);
        if (exitCode != 0 || transactions is not > 0)
        {
            return new Measurement(mode, clients, target.Name, round, null, null, null, LastWords(output));
        }

        return new Measurement(mode, clients, target.Name, round, Figure(Tps(), output), cpuUsed / transactions * 100_000, Figure(Latency(), output), null);
    }

    /// <summary>Runs a script of pgbench's own language over and over.</summary>
    public async Task<Measurement> MeasureScriptAsync(Target target, string script, string mode, int clients, double seconds, CancellationToken cancellationToken)
    {
        string[] arguments =
        [
            "-n", "-f", script, "-M", mode, "-c", Text(clients), "-j", Text(Math.Min(clients, Environment.ProcessorCount)), "-T", Text((int)Math.Max(1, seconds)),
            .. Address(target.Port), Servers.Database,
        ];
        var cpuBefore = target.Process?.CpuSeconds();
        var (exitCode, output) = await RunAsync(pgbench, arguments, cancellationToken);
        var cpuUsed = target.Process?.CpuSeconds() - cpuBefore;
        return exitCode == 0 && Figure(Processed(), output) is > 0 and var transactions
            ? new Measurement(mode, clients, target.Name, 0, Figure(Tps(), output), cpuUsed / transactions * 100_000, Figure(Latency(), output), null)
            : throw new InvalidOperationException($"pgbench failed: {LastWords(output)}");
    }

    /// <summary>Copies a table's rows from one server to another, as a user does with two psql and a pipe.</summary>
    public Task CopyAsync(int from, int to, string query, string table, CancellationToken cancellationToken) => PipeAsync(from, to, $"({query})", table, "", cancellationToken);

    /// <summary>The same for a whole table in binary form: the fastest that needs no more than the servers' own programs.</summary>
    public Task PipeBinaryAsync(int from, int to, string source, string target, CancellationToken cancellationToken) =>
        PipeAsync(from, to, source, target, " (FORMAT BINARY)", cancellationToken);

    private async Task PipeAsync(int from, int to, string what, string table, string form, CancellationToken cancellationToken)
    {
        using var source = Start(psql, ["-X", "-q", "-v", "ON_ERROR_STOP=1", .. Address(from), "-d", Servers.Database, "-c", $"COPY {what} TO STDOUT{form}"], false);
        using var target = Start(psql, ["-X", "-q", "-v", "ON_ERROR_STOP=1", .. Address(to), "-d", Servers.Database, "-c", $"COPY {table} FROM STDIN{form}"], true);
        await source.StandardOutput.BaseStream.CopyToAsync(target.StandardInput.BaseStream, cancellationToken);
        target.StandardInput.Close();
        await Task.WhenAll(source.WaitForExitAsync(cancellationToken), target.WaitForExitAsync(cancellationToken));
        if (source.ExitCode != 0 || target.ExitCode != 0)
        {
            throw new InvalidOperationException($"copying failed: {LastWords(await source.StandardError.ReadToEndAsync(cancellationToken) + await target.StandardError.ReadToEndAsync(cancellationToken))}");
        }
    }

    private static Process Start(string program, IEnumerable<string> arguments, bool takesInput)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = takesInput };
        start.Environment["PGPASSWORD"] = Servers.Password;
        start.Environment["LC_ALL"] = "C";
        return Process.Start(start)!;
    }

    private static IEnumerable<string> Address(int port) => ["-h", "127.0.0.1", "-p", Text(port), "-U", Servers.User];

    private async Task<string> MustRunAsync(string program, IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        var (exitCode, output) = await RunAsync(program, arguments, cancellationToken);
        if (exitCode != 0)
        {
            throw new InvalidOperationException($"{Path.GetFileName(program)} failed: {LastWords(output)}");
        }

        return output;
    }

    private async Task<(int ExitCode, string Output)> RunAsync(string program, IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        using var process = Start(program, arguments, takesInput: false);
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(10), time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(either.Token);
            var errors = process.StandardError.ReadToEndAsync(either.Token);
            await process.WaitForExitAsync(either.Token);
            return (process.ExitCode, await output + await errors);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
    }

    /// <summary>The server's own words where there are any, else pgbench's.</summary>
    private static string LastWords(string output)
    {
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return Array.Find(lines, l => l.Contains("ERROR:", StringComparison.Ordinal) || l.Contains("FATAL:", StringComparison.Ordinal))
            ?? Array.Find(lines, l => l.Contains("error:", StringComparison.Ordinal))
            ?? lines.LastOrDefault("no output");
    }

    private static double? Figure(Regex pattern, string output) =>
        pattern.Match(output) is { Success: true } match ? double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : null;

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"number of transactions actually processed: (\d+)")]
    private static partial Regex Processed();

    [GeneratedRegex(@"tps = ([\d.]+) \((?:without initial connection time|including reconnection times)\)")]
    private static partial Regex Tps();

    [GeneratedRegex(@"latency average = ([\d.]+) ms")]
    private static partial Regex Latency();
}
