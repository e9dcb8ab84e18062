using System.Globalization;
using ShardProxy.Model.Errors;

namespace ShardProxy.LocalCluster.Processes;

/// <summary>
/// The operating system account the servers run as. PostgreSQL refuses to run as root, so root hands its servers and their
/// directories to <c>postgres</c>, or to <c>nobody</c> where that account does not exist.
/// </summary>
internal sealed class ServerAccount
{
    private readonly IReadOnlyList<string> _prefix;
    private readonly bool _isSwitch;
    private readonly uint _userId;
    private readonly uint _groupId;

    private ServerAccount(string name, bool isSwitch, uint userId, uint groupId, IReadOnlyList<string> prefix)
    {
        Name = name;
        _isSwitch = isSwitch;
        _userId = userId;
        _groupId = groupId;
        _prefix = prefix;
    }

    /// <summary>The account's name, for messages.</summary>
    public string Name { get; }

    /// <summary>Our own account, whoever we are: for servers that do not mind root.</summary>
    public static ServerAccount Own() => new(Environment.UserName, isSwitch: false, 0, 0, []);

    /// <summary>Our own account, or an ordinary one when we are root.</summary>
    public static ServerAccount Resolve()
    {
        if (NativeMethods.EffectiveUserId() != 0)
        {
            return Own();
        }

        var accounts = File.ReadLines("/etc/passwd")
            .Select(line => line.Split(':'))
            .Where(fields => fields.Length >= 4 && fields[2] != "0")
            .ToList();
        var chosen = accounts.Find(a => a[0] == "postgres") ?? accounts.Find(a => a[0] == "nobody");
        if (chosen is null)
        {
            throw LocalClusterErrors.NoAccount();
        }

        var userId = uint.Parse(chosen[2], CultureInfo.InvariantCulture);
        var groupId = uint.Parse(chosen[3], CultureInfo.InvariantCulture);
        if (ExecutableFinder.Find("setpriv") is { } setpriv)
        {
            return new ServerAccount(
                chosen[0], isSwitch: true, userId, groupId, [setpriv, $"--reuid={userId}", $"--regid={groupId}", "--clear-groups", "--"]);
        }

        return ExecutableFinder.Find("runuser") is { } runuser
            ? new ServerAccount(chosen[0], isSwitch: true, userId, groupId, [runuser, "-u", chosen[0], "--"])
            : throw LocalClusterErrors.NoAccount();
    }

    /// <summary>The command line that runs <paramref name="command"/> as this account, in place of the starting process.</summary>
    public IReadOnlyList<string> Wrap(params IEnumerable<string> command) => [.. _prefix, .. command];

    /// <summary>Gives an existing file or directory to the account.</summary>
    public void TakeOver(string path)
    {
        if (_isSwitch && NativeMethods.ChangeOwner(path, _userId, _groupId) != 0)
        {
            throw LocalClusterErrors.DirectoryNotUsable(path, Name);
        }
    }

    /// <summary>Checks that the account can really enter and write the directory: a parent of it may be closed to it.</summary>
    /// <exception cref="ShardProxyException">SHP-704.</exception>
    public async Task CheckWritableAsync(string directory, CancellationToken cancellationToken)
    {
        var test = await ProcessRunner.RunAsync(Wrap("/bin/sh", "-c", "test -w \"$0/.\" && test -x \"$0/.\"", directory), cancellationToken: cancellationToken);
        if (test.ExitCode != 0)
        {
            throw LocalClusterErrors.DirectoryNotUsable(directory, Name);
        }
    }
}
