using System.Globalization;
using ShardProxy.Control;
using ShardProxy.DataPath;
using ShardProxy.Model.Fleet;

namespace ShardProxy.Handover;

/// <summary>What the two processes ask each other for while both live, and the answers.</summary>
internal static class HandoverCommands
{
    public const string Done = "done";

    /// <summary>Follow the catalog, which has that epoch now.</summary>
    public static string Publish(long epoch, DrainScope scope, TimeSpan deadline) =>
        FormattableString.Invariant($"publish {epoch} {(long)deadline.TotalMilliseconds} {(scope.AllEarlierStatements ? 1 : 0)} {string.Join(',', scope.RangeIds)}");

    /// <summary>Cancel what the session with that key does.</summary>
    public static string Cancel(int processId, int secret) => FormattableString.Invariant($"cancel {processId} {secret}");

    /// <summary>The answer, for what both sides may ask; null for anything else.</summary>
    public static async Task<string?> AnswerAsync(string question, ControlPlane control, DataPlane plane, CancellationToken cancellationToken)
    {
        var words = question.Split(' ');
        switch (words)
        {
            case ["publish", _, var deadline, var all, var ranges]:
                var scope = new DrainScope([.. ranges.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(r => int.Parse(r, CultureInfo.InvariantCulture))], all == "1");
                var report = (await control.FollowAsync(scope, TimeSpan.FromMilliseconds(long.Parse(deadline, CultureInfo.InvariantCulture)), cancellationToken)).Single();
                return FormattableString.Invariant($"report {report.Epoch} {(report.IsDrained ? 1 : 0)} {report.Blockers} {report.OldestBlockerMs}");
            case ["cancel", var processId, var secret]:
                await plane.CancelAsync(int.Parse(processId, CultureInfo.InvariantCulture), int.Parse(secret, CultureInfo.InvariantCulture));
                return Done;
            default:
                return null;
        }
    }

    /// <summary>What the other side answered to <see cref="Publish"/>; null when it is no such answer.</summary>
    public static EpochReport? Report(string? answer, string proxyId) => answer?.Split(' ') is ["report", var epoch, var drained, var blockers, var oldest]
        ? new EpochReport(proxyId, long.Parse(epoch, CultureInfo.InvariantCulture), drained == "1", int.Parse(blockers, CultureInfo.InvariantCulture), long.Parse(oldest, CultureInfo.InvariantCulture))
        : null;
}
