using System.Collections.Immutable;
using System.Threading.Channels;
using Npgsql;
using ShardProxy.Demo.Accounting;

namespace ShardProxy.Demo.Workload;

/// <summary>
/// Sends statements when they are due, whether or not earlier ones have been answered (an open loop), through many client connections.
/// Latency counts from the moment a statement was due, so that a queue anywhere shows.
/// </summary>
internal sealed class WorkloadGenerator : IAsyncDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(1);

    private readonly Channel<Due> _due = Channel.CreateUnbounded<Due>(new UnboundedChannelOptions { SingleWriter = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly List<DemoClient> _clients = [];
    private readonly List<Task> _workers = [];
    private readonly NpgsqlDataSource _source;
    private readonly TimeProvider _time;
    private readonly ErrorLog _errors;
    private long _nextEntryId;
    private long _open;

    private WorkloadGenerator(NpgsqlDataSource source, TimeProvider time, ErrorLog errors)
    {
        _source = source;
        _time = time;
        _errors = errors;
    }

    /// <summary>Statements that are due and not answered.</summary>
    public long Open => Interlocked.Read(ref _open);

    /// <summary>Opens the clients.</summary>
    public static async Task<WorkloadGenerator> StartAsync(
        string connectionString, int clients, long firstEntryId, ClientLedger ledger, ErrorLog errors, TimeProvider time, CancellationToken cancellationToken)
    {
        var generator = new WorkloadGenerator(DemoConnections.Source(connectionString), time, errors) { _nextEntryId = firstEntryId };
        try
        {
            // A few at a time: each handshake costs both sides some milliseconds of hashing.
            await Parallel.ForAsync(0, clients, new ParallelOptions { MaxDegreeOfParallelism = 4, CancellationToken = cancellationToken }, async (_, token) =>
            {
                var client = await DemoClient.ConnectAsync(generator._source, ledger, token).ConfigureAwait(false);
                lock (generator._clients)
                {
                    generator._clients.Add(client);
                }
            }).ConfigureAwait(false);
            generator._workers.AddRange(generator._clients.Select(client => Task.Run(() => generator.WorkAsync(client), CancellationToken.None)));
            return generator;
        }
        catch
        {
            await generator.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Sends a phase's arrivals; returns when the last one is due, not when it is answered.</summary>
    /// <param name="arrivals">In order of time.</param>
    /// <param name="start">Timestamp of the phase's start.</param>
    /// <param name="latencies">Where latencies go.</param>
    /// <param name="cancellationToken">Ends the demo.</param>
    public async Task SendAsync(ImmutableArray<Arrival> arrivals, long start, LatencyRecorder latencies, CancellationToken cancellationToken)
    {
        for (var i = 0; i < arrivals.Length;)
        {
            var elapsed = _time.GetElapsedTime(start);
            for (; i < arrivals.Length && arrivals[i].At <= elapsed; i++)
            {
                Interlocked.Increment(ref _open);
                _due.Writer.TryWrite(new Due(arrivals[i], start, latencies));
            }

            await Task.Delay(Tick, _time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Statements a second that so many clients get done one after the other: what the machine can do.</summary>
    public async Task<double> MeasureAsync(KeyRing keys, int clients, TimeSpan length, int seed, CancellationToken cancellationToken)
    {
        var answered = new LatencyRecorder();
        var random = new Random(seed);
        var start = _time.GetTimestamp();
        // A closed loop: as many statements are open as there are clients, a new one for every answer.
        while (_time.GetElapsedTime(start) is var elapsed && elapsed < length)
        {
            for (var room = clients - Open; room > 0; room--)
            {
                Interlocked.Increment(ref _open);
                _due.Writer.TryWrite(new Due(ArrivalList.DrawOne(elapsed, keys.At(random.NextDouble()), random), start, answered));
            }

            await Task.Delay(Tick, _time, cancellationToken).ConfigureAwait(false);
        }

        var rate = answered.Count / _time.GetElapsedTime(start).TotalSeconds;
        await DrainAsync(TimeSpan.FromSeconds(30), cancellationToken).ConfigureAwait(false);
        return rate;
    }

    /// <summary>Waits until every statement sent has been answered.</summary>
    /// <returns>False when some were still open at the deadline.</returns>
    public async Task<bool> DrainAsync(TimeSpan deadline, CancellationToken cancellationToken)
    {
        var start = _time.GetTimestamp();
        while (Open > 0 && _time.GetElapsedTime(start) < deadline)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(5), _time, cancellationToken).ConfigureAwait(false);
        }

        return Open == 0;
    }

    public async ValueTask DisposeAsync()
    {
        _due.Writer.TryComplete();
        await _stop.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(_workers).ConfigureAwait(false);
        foreach (var client in _clients)
        {
            await client.DisposeAsync().ConfigureAwait(false);
        }

        await _source.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task WorkAsync(DemoClient client)
    {
        try
        {
            await foreach (var due in _due.Reader.ReadAllAsync(_stop.Token).ConfigureAwait(false))
            {
                try
                {
                    if (await client.RunAsync(due.Arrival, Interlocked.Increment(ref _nextEntryId), _stop.Token).ConfigureAwait(false) is { } wrong)
                    {
                        _errors.Add(wrong);
                    }
                }
                catch (Exception e) when (e is NpgsqlException or TimeoutException or InvalidOperationException)
                {
                    _errors.Add(e is PostgresException p ? $"{p.SqlState} {p.MessageText}" : e.Message);
                }

                due.Latencies.Add(_time.GetElapsedTime(due.Start) - due.Arrival.At);
                Interlocked.Decrement(ref _open);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The demo ends.
        }
    }

    private readonly record struct Due(Arrival Arrival, long Start, LatencyRecorder Latencies);
}
