using ShardProxy.LocalCluster.Processes;
using ShardProxy.Model.Topology;

namespace ShardProxy.LocalCluster.Servers;

/// <summary>Makes a node's data directory ready to start: initialised, configured, with the superuser and the databases.</summary>
internal sealed class DataDirectory(ServerBinaries binaries, ServerAccount account, LocalClusterOptions options)
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private static readonly TimeSpan OrphanGrace = TimeSpan.FromSeconds(5);

    /// <summary>Idempotent: an initialised directory keeps its rows and gets the present settings, password and databases.</summary>
    public async Task PrepareAsync(string node, string path, CancellationToken cancellationToken)
    {
        var versionFile = Path.Combine(path, "PG_VERSION");
        var isNew = !File.Exists(versionFile);
        if (isNew)
        {
            await InitialiseAsync(node, path, cancellationToken);
        }
        else
        {
            var found = (await File.ReadAllTextAsync(versionFile, cancellationToken)).Trim();
            if (found != $"{binaries.MajorVersion}")
            {
                throw LocalClusterErrors.WrongVersion(path, found, binaries.MajorVersion);
            }

            await RefuseRunningAsync(path, cancellationToken);
        }

        await ConfigureAsync(node, path, cancellationToken);
        await EnsureObjectsAsync(node, path, isNew, cancellationToken);
    }

    private async Task InitialiseAsync(string node, string path, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(path, Private);
        account.TakeOver(path);
        var passwordFile = path + ".pw";
        await using (var file = new FileStream(passwordFile, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
        await using (var writer = new StreamWriter(file))
        {
            await writer.WriteLineAsync(options.Password);
        }

        try
        {
            account.TakeOver(passwordFile);
            List<string> command =
            [
                binaries.Program("initdb"), "-D", path, "-U", options.User, $"--pwfile={passwordFile}", "--encoding=UTF8", "--locale=C.UTF-8",
                "--auth=scram-sha-256", "--no-instructions",
            ];
            if (options.Directory is null)
            {
                // A directory that will not outlive the process need not survive the machine's crash before its first start.
                command.Add("--no-sync");
            }

            var result = await ProcessRunner.RunAsync(account.Wrap(command), cancellationToken: cancellationToken);
            if (result.ExitCode != 0)
            {
                throw LocalClusterErrors.StartFailed(node, path, $"initdb: {result.ErrorOutput.Trim()}");
            }
        }
        finally
        {
            File.Delete(passwordFile);
        }

        await File.AppendAllTextAsync(Path.Combine(path, "postgresql.conf"), $"\ninclude_if_exists = '{ServerSettings.FileName}'\n", cancellationToken);
    }

    private async Task ConfigureAsync(string node, string path, CancellationToken cancellationToken)
    {
        var file = Path.Combine(path, ServerSettings.FileName);
        await File.WriteAllTextAsync(file, ServerSettings.Render(node, options), cancellationToken);
        account.TakeOver(file);
        var access = Path.Combine(path, "pg_hba.conf");
        await File.WriteAllTextAsync(
            access,
            """
            # Loopback only, password always; replication too, since range moves stream between the nodes.
            host all all 127.0.0.1/32 scram-sha-256
            host replication all 127.0.0.1/32 scram-sha-256

            """,
            cancellationToken);
        account.TakeOver(access);
    }

    /// <summary>
    /// Creates what is missing through the server's single-user mode: no client program and no open port is needed, and the
    /// password travels on standard input.
    /// </summary>
    private async Task EnsureObjectsAsync(string node, string path, bool isNew, CancellationToken cancellationToken)
    {
        var statements = new List<string>();
        if (!isNew)
        {
            var role = SqlIdentifier.Quote(options.User);
            var roleLiteral = SqlIdentifier.Literal(options.User);
            statements.Add($"DO 'BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {roleLiteral.Replace("'", "''", StringComparison.Ordinal)}) THEN CREATE ROLE {role.Replace("'", "''", StringComparison.Ordinal)}; END IF; END'");
            statements.Add($"ALTER ROLE {role} SUPERUSER LOGIN PASSWORD {SqlIdentifier.Literal(options.Password)}");
        }

        statements.AddRange(
            options.Databases
                .Where(d => d is not ("postgres" or "template0" or "template1"))
                .Distinct(StringComparer.Ordinal)
                .Select(d => $"CREATE DATABASE {SqlIdentifier.Quote(d)}"));
        if (statements.Count == 0)
        {
            return;
        }

        var result = await ProcessRunner.RunAsync(
            account.Wrap(binaries.Program("postgres"), "--single", "-D", path, "template1"),
            string.Join('\n', statements) + "\n",
            cancellationToken: cancellationToken);
        var errors = result.ErrorOutput.Split('\n').Where(l => (l.Contains("ERROR:", StringComparison.Ordinal) || l.Contains("FATAL:", StringComparison.Ordinal)) && !l.Contains("already exists", StringComparison.Ordinal)).ToList();
        if (result.ExitCode != 0 || errors.Count > 0)
        {
            throw LocalClusterErrors.StartFailed(node, path, errors.FirstOrDefault() ?? "the server's single-user mode failed");
        }
    }

    /// <summary>Servers whose parent was killed are ending just now; anything that stays is somebody else's.</summary>
    private async Task RefuseRunningAsync(string path, CancellationToken cancellationToken)
    {
        var began = options.TimeProvider.GetTimestamp();
        while (IsRunning(path))
        {
            if (options.TimeProvider.GetElapsedTime(began) > OrphanGrace)
            {
                throw LocalClusterErrors.DirectoryInUse(path);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), options.TimeProvider, cancellationToken);
        }
    }

    private static bool IsRunning(string path)
    {
        var pidFile = Path.Combine(path, "postmaster.pid");
        if (!File.Exists(pidFile) || !int.TryParse(File.ReadLines(pidFile).FirstOrDefault(), out var pid) || NativeMethods.Kill(pid, 0) != 0)
        {
            return false;
        }

        // After a machine's restart the number may be another program's.
        var command = $"/proc/{pid}/comm";
        return !File.Exists(command) || File.ReadAllText(command).StartsWith("post", StringComparison.Ordinal);
    }
}
