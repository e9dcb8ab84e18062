using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using NUnit.Framework;

namespace ShardProxy.Cluster.Tests.Control;

/// <summary>Connections that write to the nodes themselves, routed by the fleet as a proxy would. Counts what was acknowledged.</summary>
internal sealed class DirectWriters : IAsyncDisposable
{
    private readonly ControlHarness _harness;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task[] _writers;
    private long _transactions;
    private long _sum;

    private DirectWriters(ControlHarness harness, int count, int accounts, int seed)
    {
        TestContext.Out.WriteLine($"seed {seed}");
        _harness = harness;
        _writers = [.. Enumerable.Range(0, count).Select(i => Task.Run(() => WriteAsync(i, new Random(seed + i), accounts)))];
    }

    /// <summary>Acknowledged transactions.</summary>
    public long Transactions => Interlocked.Read(ref _transactions);

    /// <summary>Sum of the acknowledged deltas.</summary>
    public long Sum => Interlocked.Read(ref _sum);

    /// <summary>By the token in its history row, what every acknowledged transaction was: to name one that is missing.</summary>
    public ConcurrentDictionary<string, string> Acknowledged { get; } = new();

    public double LongestTransactionMs { get; private set; }

    public static DirectWriters Start(ControlHarness harness, int count, int accounts, int seed = 20261121) => new(harness, count, accounts, seed);

    /// <summary>Stops and rethrows the first error a writer got: there must be none.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_writers);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_writers).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task WriteAsync(int writer, Random random, int accounts)
    {
        var connections = new Dictionary<int, Npgsql.NpgsqlConnection>();
        try
        {
            for (var number = 0; !_stop.IsCancellationRequested; number++)
            {
                var token = $"{writer}.{number}";
                string what;
                var (id, delta) = (random.NextInt64(1, accounts + 1), random.NextInt64(-1000, 1001));
                var started = Stopwatch.GetTimestamp();
                using (var work = await _harness.Fleet.EnterAsync(1, _harness.PlaceOf(id), CancellationToken.None))
                {
                    if (!connections.TryGetValue(work.NodeId, out var connection))
                    {
                        connections[work.NodeId] = connection = await _harness.OpenAsync(work.NodeId);
                    }

                    what = string.Create(
                        CultureInfo.InvariantCulture,
                        $"account {id}, delta {delta}, on node {work.NodeId} at epoch {work.Epoch}, pid {connection.ProcessID}, begun {DateTime.UtcNow:HH:mm:ss.ffffff}");
                    await using var transaction = await connection.BeginTransactionAsync();
                    await using var command = new Npgsql.NpgsqlCommand(
                        $"INSERT INTO history (account_id, delta, token) VALUES ({id}, {delta}, '{token}'); UPDATE account SET balance = balance + {delta}, note = 'changed ' || balance WHERE id = {id}", connection);
                    Assert.That(await command.ExecuteNonQueryAsync(), Is.EqualTo(2), "one account row and one history row");
                    await transaction.CommitAsync();
                }

                Acknowledged[token] = string.Create(CultureInfo.InvariantCulture, $"{what}, acknowledged {DateTime.UtcNow:HH:mm:ss.ffffff}");
                Interlocked.Increment(ref _transactions);
                Interlocked.Add(ref _sum, delta);
                LongestTransactionMs = Math.Max(LongestTransactionMs, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
        }
        finally
        {
            foreach (var connection in connections.Values)
            {
                await connection.DisposeAsync();
            }
        }
    }
}
