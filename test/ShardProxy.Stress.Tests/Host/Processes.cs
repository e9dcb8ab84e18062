using System.Globalization;
using System.Runtime.InteropServices;

namespace ShardProxy.Stress.Tests.Host;

/// <summary>Signals to processes that this run has started, with their children.</summary>
internal static partial class Processes
{
    public const int Kill = 9, Continue = 18, Stop = 19;

    public static void Signal(int processId, int signal) => _ = SendSignal(processId, signal);

    /// <summary>To a server and all that it has forked: what a machine does that loses its power, or its processor.</summary>
    public static void SignalTree(int processId, int signal)
    {
        // The parent first, so that it neither forks more nor starts a recovery of its own.
        var children = Children(processId);
        Signal(processId, signal);
        foreach (var child in children.Concat(Children(processId)).Distinct())
        {
            Signal(child, signal);
        }
    }

    /// <summary>The processes whose parent it is, with their command lines.</summary>
    public static List<int> Children(int processId)
    {
        var children = new List<int>();
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var id) && ParentOf(id) == processId)
            {
                children.Add(id);
            }
        }

        return children;
    }

    private static int ParentOf(int processId)
    {
        try
        {
            // The name in parentheses may hold anything; state and parent follow it.
            var stat = File.ReadAllText($"/proc/{processId}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int SendSignal(int processId, int signal);
}
