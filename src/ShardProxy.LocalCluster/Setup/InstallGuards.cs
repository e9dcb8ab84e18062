namespace ShardProxy.LocalCluster.Setup;

/// <summary>
/// Two files that keep the server package from creating a default cluster (postgresql-common's <c>createcluster.d</c>) and any
/// package from starting services (<c>policy-rc.d</c>, Debian policy 9.3.3), and their removal.
/// </summary>
/// <param name="root">The file system's root; another directory in tests.</param>
internal sealed class InstallGuards(string root = "/")
{
    private const UnixFileMode Executable =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    /// <summary>Puts the guards in place; disposing the result restores what was there.</summary>
    public IDisposable Raise()
    {
        var policy = Path.Combine(root, "usr/sbin/policy-rc.d");
        var clusterDirectory = Path.Combine(root, "etc/postgresql-common/createcluster.d");
        var undo = new Stack<Action>();
        MakeDirectories(Path.GetDirectoryName(policy)!, undo);
        MakeDirectories(clusterDirectory, undo);

        // An existing policy is the administrator's; it is put aside and put back, not edited.
        var aside = policy + ".shardproxy-aside";
        if (File.Exists(policy))
        {
            File.Move(policy, aside, overwrite: true);
            undo.Push(() => File.Move(aside, policy, overwrite: true));
        }
        else
        {
            undo.Push(() => File.Delete(policy));
        }

        File.WriteAllText(policy, "#!/bin/sh\nexit 101\n");
        File.SetUnixFileMode(policy, Executable);

        var clusterFile = Path.Combine(clusterDirectory, "zz-shardproxy.conf");
        undo.Push(() => File.Delete(clusterFile));
        File.WriteAllText(clusterFile, "create_main_cluster = false\n");
        return new Undo(undo);
    }

    private static void MakeDirectories(string path, Stack<Action> undo)
    {
        if (Directory.Exists(path))
        {
            return;
        }

        MakeDirectories(Path.GetDirectoryName(path)!, undo);
        Directory.CreateDirectory(path);
        undo.Push(() =>
        {
            // The package may have put its own files there meanwhile.
            if (!Directory.EnumerateFileSystemEntries(path).Any())
            {
                Directory.Delete(path);
            }
        });
    }

    private sealed class Undo(Stack<Action> actions) : IDisposable
    {
        public void Dispose()
        {
            while (actions.TryPop(out var action))
            {
                action();
            }
        }
    }
}
