using System.Globalization;
using System.Runtime.InteropServices;

/// <summary>
/// Loaded into the measured proxy by the runtime's start-up hook (DOTNET_STARTUP_HOOKS), which wants this name and no namespace: SIGUSR2 makes a
/// full, compacting, blocking collection, and its end is told on standard error. The product itself has no such switch.
/// </summary>
internal static class StartupHook
{
    /// <summary>What a line about a finished collection begins with.</summary>
    internal const string Word = "bench-collected ";

    private const PosixSignal UserSignal2 = (PosixSignal)12;

    private static PosixSignalRegistration? _registration;

    public static void Initialize() => _registration = PosixSignalRegistration.Create(UserSignal2, context =>
    {
        context.Cancel = true;
        for (var i = 0; i < 2; i++)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            GC.WaitForPendingFinalizers();
        }

        var info = GC.GetGCMemoryInfo(GCKind.FullBlocking);
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Word}{info.HeapSizeBytes} {info.TotalCommittedBytes}"));
    });
}
