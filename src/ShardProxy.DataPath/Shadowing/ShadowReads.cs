using System.Threading.Channels;
using ShardProxy.DataPath.Routing;
using ShardProxy.DataPath.Servers;
using ShardProxy.DataPath.Sessions;
using ShardProxy.DataPath.Types;
using ShardProxy.Model.Routing;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Shadowing;

/// <summary>
/// Runs some of the live reads of a moving range again, apart from the clients, on its owner and on the node it is moving to. Equal rows are all one wants to know, whatever the
/// copy's position; those that differ go to the <see cref="ShadowExaminer"/>. Reads come out of the sessions by <see cref="Offer"/>, which never waits; what there is no room
/// for is dropped and counted.
/// </summary>
internal sealed class ShadowReads : IDisposable
{
    private const int Workers = 2;
    private const int QueueLength = 128;
    private const int MaxTextBytes = 16 * 1024;

    private readonly DataPathServices _services;
    private readonly Channel<ShadowSample> _queue = Channel.CreateBounded<ShadowSample>(QueueLength);
    private readonly CancellationTokenSource _stop = new();
    private readonly ShadowReader _reader;
    private readonly ShadowExaminer _examiner;
    private ShadowSampler? _sampler;

    public ShadowReads(DataPathServices services)
    {
        _services = services;
        _reader = new ShadowReader(services, _stop.Token);
        _examiner = new ShadowExaminer(services, _reader, _stop.Token);
    }

    /// <summary>A plain read is on its way to the range's owner, or ahead. Copies what it needs if it is chosen.</summary>
    public void Offer(Session session, StatementShape shape, RoutePlan plan, RoutingTable table, in KeyInput input, long? hash)
    {
        if (_services.Options.ShadowReads <= 0 || ReadAhead.FindMove(session, table) is not { } move || !ReadAhead.IsPlain(session, shape, plan) || !session.HasDefaultSearchPath
            || !ComparableReads.Includes(shape, plan))
        {
            return;
        }

        var code = default(HashCode);
        code.AddBytes(input.Text);
        if (input.Parameters is { } values)
        {
            code.AddBytes(values.Payload[values.BodyOffset..]);
        }

        var read = code.ToHashCode();
        if (!(_sampler ?? Start()).Choose(read, _services.Shadow.Find(move.MigrationId)?.Offer() == true))
        {
            return;
        }

        if (input.Text.Length > MaxTextBytes || input.Parameters?.PayloadBytes > MaxTextBytes)
        {
            _services.Shadow.NoteDropped();
            return;
        }

        if (ComparableReads.MayNameMoment(input.Text))
        {
            return;
        }

        BoundParameters? parameters = null;
        if (input.Parameters is { } bound)
        {
            // Where the nodes number types otherwise, what might be a number of one cannot be put into the other's terms without its type.
            if (ComparableReads.MayNameMoment(bound.Payload[bound.BodyOffset..]) || (_services.Holder.Types.HasAny && TypeTable.IsOpen(bound, bound.TypeOids)))
            {
                return;
            }

            parameters = new BoundParameters();
            parameters.Read(bound.Payload, bound.TypeOids);
        }

        var command = new NodeCommand(input.Text.ToArray(), parameters, TextResults: true);
        if (!_queue.Writer.TryWrite(new ShadowSample(move, read, command, shape, hash, session.Settings, session.Relay.Told, session.Identity.Database, session.Identity.User)))
        {
            _services.Shadow.NoteDropped();
        }
    }

    public void Dispose()
    {
        _queue.Writer.TryComplete();
        _stop.Cancel();
    }

    // With the first read of a moving range; most proxies never see one.
    private ShadowSampler Start()
    {
        var sampler = new ShadowSampler(_services.Options.ShadowReads, _services.Time, Random.Shared.NextDouble);
        if (Interlocked.CompareExchange(ref _sampler, sampler, null) is { } other)
        {
            return other;
        }

        for (var i = 0; i < Workers; i++)
        {
            _ = Task.Run(RunAsync);
        }

        _ = Task.Run(_examiner.RunAsync);
        return sampler;
    }

    private async Task RunAsync()
    {
        try
        {
            await foreach (var sample in _queue.Reader.ReadAllAsync(_stop.Token).ConfigureAwait(false))
            {
                if (_examiner.IsOpen(sample.Move))
                {
                    await CompareAsync(sample).ConfigureAwait(false);
                }
                else
                {
                    _services.Shadow.NoteInconclusive();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The data plane ends.
        }
    }

    private async Task CompareAsync(ShadowSample sample)
    {
        var table = _services.Holder.Current;
        var owner = await ReadAsync(sample, table, sample.Move.SourceNodeId).ConfigureAwait(false);
        var copy = owner is null ? null : await ReadAsync(sample, table, sample.Move.TargetNodeId).ConfigureAwait(false);
        if (owner is null || copy is null || !owner.IsComparableWith(copy))
        {
            _services.Shadow.NoteInconclusive();
        }
        else if (owner.HasRowsOf(copy))
        {
            // Otherwise a cutover came between.
            if (_examiner.IsOpen(sample.Move))
            {
                _services.Shadow.NoteCompared(sample.Move.MigrationId);
            }
            else
            {
                _services.Shadow.NoteInconclusive();
            }
        }
        else if (!_examiner.TryAdd(sample))
        {
            _services.Shadow.NoteInconclusive();
        }
    }

    private Task<RowDigest?> ReadAsync(ShadowSample sample, RoutingTable table, int nodeId) => _reader.ReadAsync(sample, table.Node(nodeId));
}
