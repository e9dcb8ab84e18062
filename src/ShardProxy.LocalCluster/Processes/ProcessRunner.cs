using System.ComponentModel;
using System.Diagnostics;

namespace ShardProxy.LocalCluster.Processes;

/// <summary>Runs short commands to their end.</summary>
internal static class ProcessRunner
{
    /// <summary>
    /// Runs <paramref name="command"/> (program, then arguments) in the root directory with PostgreSQL's own variables removed and
    /// messages in English. Cancellation ends the command and its children.
    /// </summary>
    /// <param name="command">Program and arguments; nothing passes through a shell.</param>
    /// <param name="input">Text for standard input, or null for none.</param>
    /// <param name="onLine">Called with every line of either output as it comes, from any thread; or null.</param>
    /// <param name="environment">Variables to set besides.</param>
    /// <param name="cancellationToken">Ends the command.</param>
    /// <returns>The result; a program that cannot be started gives exit code 127, as in a shell.</returns>
    public static async Task<ProcessResult> RunAsync(
        IReadOnlyList<string> command,
        string? input = null,
        Action<string>? onLine = null,
        IReadOnlyDictionary<string, string>? environment = null,
        CancellationToken cancellationToken = default)
    {
        var start = StartInfo(command);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        using var process = new Process { StartInfo = start };
        try
        {
            process.Start();
        }
        catch (Win32Exception e)
        {
            return new ProcessResult(127, "", e.Message);
        }

        var output = ReadLinesAsync(process.StandardOutput, onLine);
        var errors = ReadLinesAsync(process.StandardError, onLine);
        try
        {
            if (input is not null)
            {
                await process.StandardInput.WriteAsync(input.AsMemory(), cancellationToken);
            }

            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The command ended without reading its input; its exit code tells the rest.
        }

        try
        {
            await process.WaitForExitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        return new ProcessResult(process.ExitCode, await output, await errors);
    }

    /// <summary>The start settings shared by short commands and servers.</summary>
    public static ProcessStartInfo StartInfo(IReadOnlyList<string> command)
    {
        var start = new ProcessStartInfo(command[0])
        {
            // The account the server runs as may not be able to enter our own working directory.
            WorkingDirectory = "/",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in command.Skip(1))
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var name in start.Environment.Keys.Where(k => k.StartsWith("PG", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(name);
        }

        start.Environment.Remove("TZ");
        start.Environment.Remove("LANGUAGE");
        start.Environment["LC_ALL"] = "C";
        return start;
    }

    private static async Task<string> ReadLinesAsync(StreamReader reader, Action<string>? onLine)
    {
        var text = new System.Text.StringBuilder();
        while (await reader.ReadLineAsync() is { } line)
        {
            text.Append(line).Append('\n');
            onLine?.Invoke(line);
        }

        return text.ToString();
    }
}
