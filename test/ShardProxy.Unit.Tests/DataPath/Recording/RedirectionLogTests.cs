using System.Globalization;
using NUnit.Framework;
using ShardProxy.DataPath.Recording;
using ShardProxy.Model.Views;
using ShardProxy.Sql;

namespace ShardProxy.Unit.Tests.DataPath.Recording;

/// <summary>Protects the bounds of what is kept of redirections: the newest stay, every one is counted, and ranges that are gone are not.</summary>
[TestFixture]
internal sealed class RedirectionLogTests
{
    [Test]
    public void TheNewestAreKept()
    {
        var log = new RedirectionLog(TimeProvider.System);
        for (var i = 1; i <= RedirectionLog.Capacity + 10; i++)
        {
            log.Add(7, StatementShape.Unread, i.ToString(CultureInfo.InvariantCulture), null, RedirectionReasons.Held, TimeSpan.FromMilliseconds(i));
        }

        var rows = log.Snapshots();
        Assert.That(rows, Has.Length.EqualTo(RedirectionLog.Capacity));
        Assert.That((rows[0].From, rows[^1].From, rows[^1].HeldMs), Is.EqualTo(("11", (RedirectionLog.Capacity + 10).ToString(CultureInfo.InvariantCulture), RedirectionLog.Capacity + 10.0)));
        Assert.That(log.Totals(_ => true).Single(), Is.EqualTo((7, RedirectionReasons.Held, RedirectionLog.Capacity + 10L)));
    }

    [Test]
    public void RangesThatAreGoneAreNotCountedAnyMore()
    {
        var log = new RedirectionLog(TimeProvider.System);
        log.Add(0, StatementShape.Unread, null, null, RedirectionReasons.Waited, default);
        log.Add(1, StatementShape.Unread, null, null, RedirectionReasons.Held, default);
        log.Add(2, StatementShape.Unread, null, null, RedirectionReasons.Held, default);
        log.Add(2, StatementShape.Unread, null, null, RedirectionReasons.ReadAhead, default);
        Assert.That(log.Totals(id => id == 2), Is.EquivalentTo(new[] { (0, RedirectionReasons.Waited, 1L), (2, RedirectionReasons.Held, 1L), (2, RedirectionReasons.ReadAhead, 1L) }));
        Assert.That(log.Totals(_ => true).Select(t => t.RangeId), Is.EquivalentTo(new[] { 0, 2, 2 }), "a range that comes back begins anew");
        Assert.That(log.Snapshots().Select(r => r.RangeId), Is.EqualTo(new int?[] { null, 1, 2, 2 }));
    }
}
