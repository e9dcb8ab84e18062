using NUnit.Framework;
using ShardProxy.Control.Migration.Copying;
using ShardProxy.Control.Schema;
using ShardProxy.Control.Tables;
using ShardProxy.Control.Transactions;
using ShardProxy.Model.Topology;

namespace ShardProxy.Unit.Tests.Control;

/// <summary>Protects the small pure parts of the control plane.</summary>
internal sealed class ControlPartsTests
{
    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    [TestCase(7)]
    public void A_new_groups_ranges_cover_the_key_space_evenly(int nodes)
    {
        var ranges = RangeLayout.EvenRanges(1, 10, [.. Enumerable.Range(1, nodes).Select(i => new Node(i, $"n{i}", "h", 1, 0, i == 1))]);
        Assert.That(ranges, Has.Length.EqualTo(nodes * 4));
        Assert.That((ranges[0].From, ranges[^1].To), Is.EqualTo((long.MinValue, (long?)null)));
        Assert.That(ranges.Skip(1).Select(r => (long?)r.From), Is.EqualTo(ranges.SkipLast(1).Select(r => r.To)));
        var widths = ranges.Select(r => (Int128)(r.To ?? long.MaxValue) - r.From).ToList();
        Assert.That(widths.Max() - widths.Min(), Is.LessThanOrEqualTo((Int128)1));
        Assert.That(ranges.GroupBy(r => r.NodeId).Select(g => g.Count()), Is.All.EqualTo(4));
    }

    [TestCase("shardproxy:p1:2:3:4:5", 4)]
    [TestCase("shardproxy:a:b:2:3:14:5", 14)]
    [TestCase("shardproxy:p1:2:3:x:5", null)]
    [TestCase("shardproxy:4:5", null)]
    [TestCase("other:p1:2:3:4:5", null)]
    public void The_deciding_node_is_read_from_a_transactions_name(string gid, int? node) => Assert.That(InDoubtResolver.DecidingNode(gid), Is.EqualTo(node));

    [Test]
    public void Page_chunks_cover_a_table_without_overlap()
    {
        Assert.That(PageChunks.Cut(5, 10), Is.EqualTo(new[] { "true" }));
        Assert.That(
            PageChunks.Cut(25, 10),
            Is.EqualTo(new[]
            {
                "ctid >= '(0,0)'::tid AND ctid < '(10,0)'::tid", "ctid >= '(10,0)'::tid AND ctid < '(20,0)'::tid", "ctid >= '(20,0)'::tid",
            }));
    }

    [Test]
    public void Functions_that_reach_a_placed_table_through_others_are_found() =>
        Assert.That(
            OpaqueFunctions.Find(
                ["account"],
                [("c", "select b()"), ("b", "SELECT a() + 1"), ("a", "SELECT 1 FROM public.\"account\""), ("near", "select accounting, my_account"), ("other", "select 1")]),
            Is.EqualTo(new[] { "a", "b", "c" }));
}
