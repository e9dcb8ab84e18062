using System.Globalization;
using Microsoft.Extensions.Logging;

namespace ShardProxy.Composition;

/// <summary>
/// How many descriptors the process may have open. The runtime raises the soft limit to the hard one at start; when the hard one is
/// below what the configuration may need, the log says so instead of clients that wait at the door later.
/// </summary>
internal static partial class DescriptorLimit
{
    // Files, the control plane's connections, the HTTP side.
    private const int OwnUse = 200;

    /// <summary>Warns when the limit is too low for <paramref name="maxClients"/> clients and the servers' connections.</summary>
    public static void Check(int maxClients, int serverConnections, ILogger logger)
    {
        if (Read() is { } limit && limit < (long)maxClients + serverConnections + OwnUse)
        {
            Log.TooLow(logger, limit, maxClients, serverConnections, (long)maxClients + serverConnections + OwnUse);
        }
    }

    /// <summary>The limit in force (proc(5), "limits"); null where it is unlimited or the system does not tell.</summary>
    internal static long? Read()
    {
        const string title = "Max open files";
        try
        {
            var line = File.ReadLines("/proc/self/limits").FirstOrDefault(l => l.StartsWith(title, StringComparison.Ordinal));
            var soft = line?[title.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
            return long.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) ? limit : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(
            7201, LogLevel.Warning,
            "The process may open {Limit} descriptors, but limits.max_clients ({Clients}) and the pools ({Servers}) can need {Needed}: raise the hard limit (ulimit -Hn, LimitNOFILE) or lower them")]
        public static partial void TooLow(ILogger logger, long limit, int clients, int servers, long needed);
    }
}
