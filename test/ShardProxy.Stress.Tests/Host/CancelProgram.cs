using System.Diagnostics;
using System.Globalization;
using Npgsql;
using ShardProxy.Wire.Transport;

namespace ShardProxy.Stress.Tests.Host;

/// <summary>Queries that are cancelled just when they end, by a process whose sockets are set up as the product's: writes how long the slowest took.</summary>
internal static class CancelProgram
{
    /// <param name="args">Connection string, and for how many seconds.</param>
    public static async Task<int> RunAsync(string[] args)
    {
        ProxyTransport.PrepareProcess();
        await using var source = NpgsqlDataSource.Create(args[0]);
        var (began, seconds) = (Stopwatch.GetTimestamp(), double.Parse(args[1], CultureInfo.InvariantCulture));
        var slowest = await Task.WhenAll(Enumerable.Range(0, 8).Select(async worker =>
        {
            var random = new Random(worker);
            var longest = TimeSpan.Zero;
            while (Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(seconds))
            {
                var started = Stopwatch.GetTimestamp();
                await using (var connection = await source.OpenConnectionAsync())
                {
                    await using var command = new NpgsqlCommand("SELECT count(*) FROM pg_stat_activity", connection);
                    using var cancel = new CancellationTokenSource();
                    var running = command.ExecuteScalarAsync(cancel.Token);
                    await Task.Delay(random.Next(2));
                    await cancel.CancelAsync();
                    await ((Task)running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }

                var took = Stopwatch.GetElapsedTime(started);
                longest = took > longest ? took : longest;
            }

            return longest;
        }));
        Console.WriteLine(slowest.Max().TotalSeconds.ToString(CultureInfo.InvariantCulture));
        return 0;
    }
}
