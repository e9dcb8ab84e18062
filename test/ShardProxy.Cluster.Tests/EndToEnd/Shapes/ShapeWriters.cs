using System.Diagnostics;
using Npgsql;
using NUnit.Framework;
using ShardProxy.Cluster.Tests.EndToEnd.Tools;
using ShardProxy.TestKit.Clusters;

namespace ShardProxy.Cluster.Tests.EndToEnd.Shapes;

/// <summary>
/// Clients of the proxy, each with keys of its own, that write to tables of all shapes until they are stopped. What has succeeded is kept in order: carried out again
/// on plain tables it has to give the same rows.
/// </summary>
internal sealed class ShapeWriters : IAsyncDisposable
{
    private const int KeysPerWriter = 12;
    private const int PerShape = 10;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task[] _tasks;
    private readonly List<(TableShape Shape, string Sql)>[] _done;
    private int _cycles;

    private ShapeWriters(ProxyProcess proxy, TableShape[] shapes, int count, int seed)
    {
        TestContext.Out.WriteLine($"seed {seed}");
        _done = [.. Enumerable.Range(0, count).Select(_ => new List<(TableShape, string)>())];
        _tasks = [.. Enumerable.Range(0, count).Select(i => Task.Run(() => WriteAsync(proxy, shapes, i, new Random(seed + i))))];
    }

    /// <summary>Statements that succeeded; complete once it is stopped.</summary>
    public int Statements => _done.Sum(d => d.Count);

    /// <summary>How often a writer has been through all shapes.</summary>
    public int Cycles => Volatile.Read(ref _cycles);

    public double LongestMs { get; private set; }

    public static ShapeWriters Start(ProxyProcess proxy, TableShape[] shapes, int count, int seed) => new(proxy, shapes, count, seed);

    /// <summary>Stops, and throws the first error a writer got.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_tasks);
    }

    /// <summary>Carries out what has succeeded on tables of the same shapes in another schema.</summary>
    public async Task ReplayAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        foreach (var chunk in _done.SelectMany(d => d).Select(d => d.Sql.Replace("$.", schema + ".", StringComparison.Ordinal)).Chunk(200))
        {
            await connection.RunAsync(string.Join("; ", chunk), cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_tasks).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task WriteAsync(ProxyProcess proxy, TableShape[] shapes, int writer, Random random)
    {
        await using var connection = await Db.OpenAsync(proxy.ConnectionString(), CancellationToken.None);
        while (true)
        {
            foreach (var shape in shapes)
            {
                var count = shape.Name == "huge" ? 1 : PerShape;
                for (var i = 0; i < count; i++)
                {
                    if (_stop.IsCancellationRequested)
                    {
                        return;
                    }

                    var sql = shape.Write(shape.Statements[random.Next(shape.Statements.Length)], Key(), Key(), random.Next(1200));
                    if (await SucceedsAsync(connection, sql.Replace("$.", "public.", StringComparison.Ordinal)))
                    {
                        _done[writer].Add((shape, sql));
                    }
                }
            }

            Interlocked.Increment(ref _cycles);
        }

        int Key() => writer + (random.Next(KeysPerWriter) * _done.Length);
    }

    // What the constraints of the table itself refuse is no failure, nor is a serialization failure where the statement was a transaction of several nodes.
    private async Task<bool> SucceedsAsync(NpgsqlConnection connection, string sql)
    {
        while (true)
        {
            var started = Stopwatch.GetTimestamp();
            try
            {
                await connection.RunAsync(sql, CancellationToken.None);
                LongestMs = Math.Max(LongestMs, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
                return true;
            }
            catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.ForeignKeyViolation)
            {
                return false;
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.SerializationFailure)
            {
                // Again, as clients do.
            }
            catch (PostgresException e)
            {
                throw new AssertionException($"{e.SqlState} {e.MessageText} {e.Detail}: {sql[..Math.Min(sql.Length, 300)]}", e);
            }
        }
    }
}
