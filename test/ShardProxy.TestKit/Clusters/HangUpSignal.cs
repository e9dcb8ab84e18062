using System.Runtime.InteropServices;

namespace ShardProxy.TestKit.Clusters;

/// <summary>
/// What SIGHUP does to processes started from here. A process that was started with the signal ignored, as by <c>nohup</c>, hands that down, and a
/// program that ignores it from the start rightly goes on doing so: a test of what the signal does would wait in vain.
/// </summary>
internal static partial class HangUpSignal
{
    private const int Number = 1;
    private const nint Default = 0;

    /// <summary>Starts something that has the signal's default.</summary>
    public static void Unignored(Action start)
    {
        var before = Signal(Number, Default);
        try
        {
            start();
        }
        finally
        {
            _ = Signal(Number, before);
        }
    }

    [LibraryImport("libc", EntryPoint = "signal")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial nint Signal(int number, nint handler);
}
