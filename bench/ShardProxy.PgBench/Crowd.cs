using System.Collections.Concurrent;

namespace ShardProxy.PgBench;

/// <summary>Clients of one process that connect, each run a statement, and stay until disposed.</summary>
internal sealed class Crowd : IDisposable
{
    // More at once only make each other wait.
    private const int ConnectingAtOnce = 32;

    private readonly ConcurrentDictionary<int, PlainClient> _clients = new();

    private Crowd()
    {
    }

    /// <summary>Connects <paramref name="count"/> clients and has each run one statement.</summary>
    public static async Task<Crowd> GatherAsync(int port, int count, CancellationToken cancellationToken)
    {
        var crowd = new Crowd();
        try
        {
            var options = new ParallelOptions { MaxDegreeOfParallelism = ConnectingAtOnce, CancellationToken = cancellationToken };
            await Parallel.ForEachAsync(Enumerable.Range(0, count), options, async (number, token) =>
            {
                var client = await PlainClient.ConnectAsync(port, number, token);
                crowd._clients[number] = client;
                await client.QueryAsync(Statement(number), token);
            });
            return crowd;
        }
        catch
        {
            crowd.Dispose();
            throw;
        }
    }

    /// <summary>One statement of one client; how long it took, or null and why when it failed.</summary>
    public async Task<(TimeSpan? Took, string? Failure)> SpeakAsync(int number, TimeProvider time, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        try
        {
            await _clients[number].QueryAsync(Statement(number), cancellationToken);
            return (time.GetElapsedTime(started), null);
        }
        catch (Exception e) when (e is InvalidOperationException or System.Net.Sockets.SocketException or TimeoutException)
        {
            return (null, e.Message);
        }
    }

    public void Dispose()
    {
        foreach (var (_, client) in _clients)
        {
            client.Dispose();
        }
    }

    private static string Statement(int number) => FormattableString.Invariant($"SELECT abalance FROM pgbench_accounts WHERE aid = {number + 1};");
}
