using System.Threading.Channels;
using ShardProxy.Model.Fleet;
using ShardProxy.Model.Routing;

namespace ShardProxy.DataPath.Shadowing;

/// <summary>
/// Looks again at reads that gave other rows on the two nodes, all of them together in rounds: on the owner, on the copy once that holds everything as of a later moment, on the owner again.
/// Rows that are being written differ at first and agree soon, or keep changing and are given up. What counts is a difference that stays the same for <see cref="Proof"/>
/// rounds in a row, at irregular moments, while the owner has had the same rows all the time: a row that flips to and fro would have to be met by the copy's reads
/// in one state and by twice as many reads of the owner in the other, every time.
/// </summary>
internal sealed class ShadowExaminer
{
    private const int Proof = 12;
    private const int MaxSuspects = 64;

    // Two rounds are more than the lag of the copy explains: a cutover waits a moment for the rest.
    private const int Doubtful = 2;

    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(3);
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(2);

    private readonly DataPathServices _services;
    private readonly ShadowReader _reader;
    private readonly CancellationToken _stop;
    private readonly Channel<Suspect> _new = Channel.CreateBounded<Suspect>(MaxSuspects);
    private readonly HashSet<(int Migration, int Read)> _known = [];

    public ShadowExaminer(DataPathServices services, ShadowReader reader, CancellationToken stop)
    {
        (_services, _reader, _stop) = (services, reader, stop);
    }

    /// <summary>Takes a read in hand; false when there is no room, or it is in hand already.</summary>
    public bool TryAdd(ShadowSample sample)
    {
        var name = (sample.Move.MigrationId, sample.Read);
        lock (_known)
        {
            if (_known.Count >= MaxSuspects || !_known.Add(name))
            {
                return false;
            }
        }

        return _new.Writer.TryWrite(new Suspect(sample, _services.Time.GetTimestamp())) || Forget(name);
    }

    /// <summary>Runs until stopped; never throws.</summary>
    public async Task RunAsync()
    {
        var suspects = new List<Suspect>();
        try
        {
            while (true)
            {
                if (suspects.Count == 0)
                {
                    suspects.Add(await _new.Reader.ReadAsync(_stop).ConfigureAwait(false));
                }

                while (_new.Reader.TryRead(out var more))
                {
                    suspects.Add(more);
                }

                await RoundAsync(suspects).ConfigureAwait(false);
                suspects.RemoveAll(Settle);
                await Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.Next(2, 25)), _services.Time, _stop).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // The data plane ends.
        }
    }

    private async Task RoundAsync(List<Suspect> suspects)
    {
        foreach (var suspect in suspects)
        {
            suspect.Before = IsOpen(suspect.Move) ? await ReadAsync(suspect, suspect.Move.SourceNodeId).ConfigureAwait(false) : null;
        }

        var moment = _services.Time.GetTimestamp();
        foreach (var suspect in suspects)
        {
            if (suspect.Before is not { } before || !await WaitForCopyAsync(suspect.Move, moment).ConfigureAwait(false))
            {
                suspect.Before = null;
                continue;
            }

            var copy = await ReadAsync(suspect, suspect.Move.TargetNodeId).ConfigureAwait(false);
            var after = copy is null ? null : await ReadAsync(suspect, suspect.Move.SourceNodeId).ConfigureAwait(false);
            if (copy is null || after is null || !copy.IsComparableWith(before) || !copy.IsComparableWith(after))
            {
                suspect.IsHopeless = true;
            }
            else if (!IsOpen(suspect.Move))
            {
                suspect.Before = null;
            }
            else if (copy.HasRowsOf(before) || copy.HasRowsOf(after))
            {
                suspect.Agrees = true;
            }
            else
            {
                suspect.Note(before, copy, after);
                _services.Shadow.Find(suspect.Move.MigrationId)?.NoteDoubt(suspect.Sample.Read, suspect.Rounds >= Doubtful);
            }
        }
    }

    // True when nothing is left to look at.
    private bool Settle(Suspect suspect)
    {
        var migration = suspect.Move.MigrationId;
        if (suspect.Agrees)
        {
            _services.Shadow.NoteCompared(migration);
        }
        else if (suspect.Rounds >= Proof)
        {
            _services.Shadow.Report(new ShadowDifference(migration, Cut(suspect.Sample.Shape.Text), suspect.Sample.KeyHash));
        }
        else if (suspect.IsHopeless || IsOver(suspect.Move) || _services.Time.GetElapsedTime(suspect.Since) > Longest)
        {
            _services.Shadow.NoteInconclusive();
        }
        else
        {
            return false;
        }

        _services.Shadow.Find(migration)?.NoteDoubt(suspect.Sample.Read, isDoubtful: false);
        Forget((migration, suspect.Sample.Read));
        return true;
    }

    private bool Forget((int Migration, int Read) name)
    {
        lock (_known)
        {
            _known.Remove(name);
        }

        return false;
    }

    private static string Cut(string text) =>
        text.Length <= Model.Views.RedirectionReasons.MaxShapeLength ? text : text[..Model.Views.RedirectionReasons.MaxShapeLength];

    private Task<RowDigest?> ReadAsync(Suspect suspect, int nodeId) => _reader.ReadAsync(suspect.Sample, _services.Holder.Current.Node(nodeId));

    /// <summary>
    /// The copy is kept like the owner just now. Rows leave the copy, and the owner changes, only after this process has acknowledged a table in which the move says
    /// so: when it is open after the reads, it was so during them.
    /// </summary>
    public bool IsOpen(RangeMove move) => Find(move) is { IsHeld: false };

    // Held is not over: a cutover that is put off lets it go on.
    private bool IsOver(RangeMove move) => Find(move) is null;

    private RangeMove? Find(RangeMove move)
    {
        var table = _services.Holder.Current;
        return table.MoveOf(move.RangeId) is { AllowsReadAhead: true } now && now.MigrationId == move.MigrationId && table.FindRange(move.RangeId)?.NodeId == move.SourceNodeId ? now : null;
    }

    private async Task<bool> WaitForCopyAsync(RangeMove move, long moment)
    {
        while (!_services.ReadAhead.IsFresh(move, long.MaxValue, moment))
        {
            if (!IsOpen(move) || _services.Time.GetElapsedTime(moment) > LongestWait)
            {
                return false;
            }

            await Task.Delay(Poll, _services.Time, _stop).ConfigureAwait(false);
        }

        return true;
    }

    private sealed class Suspect(ShadowSample sample, long since)
    {
        private RowDigest? _owner, _copy;

        public ShadowSample Sample => sample;

        public RangeMove Move => sample.Move;

        public long Since => since;

        public RowDigest? Before { get; set; }

        public bool Agrees { get; set; }

        public bool IsHopeless { get; set; }

        /// <summary>Rounds in a row in which both sides had what they have now.</summary>
        public int Rounds { get; private set; }

        public void Note(RowDigest before, RowDigest copy, RowDigest after)
        {
            var isSteady = before.HasRowsOf(after);
            Rounds = !isSteady ? 0 : _owner?.HasRowsOf(before) == true && _copy?.HasRowsOf(copy) == true ? Rounds + 1 : 1;
            (_owner, _copy) = isSteady ? (before, copy) : (null, null);
        }
    }
}
