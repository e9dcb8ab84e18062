using NUnit.Framework;
using ShardProxy.Catalog;
using ShardProxy.Catalog.Documents;
using ShardProxy.Catalog.Stores;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Unit.Tests.Catalog;

/// <summary>Protects the placement document: nothing is lost on its way to text and back, and every change has an epoch of its own.</summary>
internal sealed class RoutingCatalogTests
{
    private static readonly CatalogState Full = new()
    {
        Epoch = 41,
        PlacementVersion = 7,
        Nodes = [new Node(1, "node1", "127.0.0.1", 5432, 100.5, true), new Node(3, "node3", "::1", 5433, 0, false)],
        Groups = [new TableGroup(2, "g", ShardingMethod.Hash, [KeyType.Int8, KeyType.Text], [new ShardRange(5, 2, long.MinValue, -1, 1), new ShardRange(9, 2, -1, null, 3)])],
        Tables =
        [
            new PlacedTable
            {
                Name = new QualifiedName("public", "Odd \"name\""),
                Placement = TablePlacement.Sharded,
                GroupId = 2,
                KeyColumns = [1, 0],
                Columns = [new TableColumn("b", 25, -1, true, false), new TableColumn("a", 20, -1, true, false), new TableColumn("c", 1043, 24, false, true)],
                IsChanging = true,
            },
        ],
        Moves = [new RangeMove(17, 2, 5, 1, 3, MovePhase.Holding)],
        OpaqueRelations = [new QualifiedName("s", "v")],
        OpaqueFunctions = ["f", "g"],
        NextNodeId = 4,
        NextGroupId = 3,
        NextRangeId = 10,
        NextMigrationId = 18,
    };

    [Test]
    public void A_state_survives_being_written_and_read()
    {
        var read = CatalogDocuments.Read(CatalogDocuments.Write(Full));
        Assert.That(CatalogDocuments.Write(read), Is.EqualTo(CatalogDocuments.Write(Full)));
        Assert.That(read.Nodes, Is.EqualTo(Full.Nodes));
        Assert.That(read.Groups[0].Ranges, Is.EqualTo(Full.Groups[0].Ranges));
        Assert.That(read.Tables[0].Columns, Is.EqualTo(Full.Tables[0].Columns));
        Assert.That(read.Tables[0].KeyColumns, Is.EqualTo(Full.Tables[0].KeyColumns));
        Assert.That(read.Tables[0].IsChanging, Is.True);
        Assert.That(read.Moves, Is.EqualTo(Full.Moves));
        Assert.That((read.Epoch, read.PlacementVersion, read.NextNodeId, read.NextGroupId, read.NextRangeId, read.NextMigrationId), Is.EqualTo((41L, 7L, 4, 3, 10, 18)));
        var table = read.ToRoutingTable();
        Assert.That(table.FindTable(new QualifiedName("public", "Odd \"name\"")), Is.Not.Null);
        Assert.That(table.OpaqueFunctions, Does.Contain("g"));
    }

    [Test]
    public void A_document_of_a_later_version_is_refused() =>
        Assert.That(
            () => CatalogDocuments.Read("""{"format":99,"epoch":1,"placement_version":1,"next_node_id":1,"next_group_id":1,"next_range_id":1,"next_migration_id":1}"""u8),
            Throws.TypeOf<ShardProxyException>().With.Message.Contains("SHP-611"));

    [Test]
    public void Garbage_is_refused() => Assert.That(() => CatalogDocuments.Read("{]"u8), Throws.TypeOf<ShardProxyException>().With.Message.Contains("SHP-610"));

    [Test]
    public async Task Changes_from_two_catalogs_are_all_kept_and_each_has_its_own_epoch()
    {
        await using var store = new InMemoryCatalogStore(TimeProvider.System);
        var catalogs = new[] { new RoutingCatalog(store), new RoutingCatalog(store) };
        var epochs = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => Task.Run(async () =>
            (await catalogs[i % 2].TryUpdateAsync(s => s with { NextRangeId = s.NextRangeId + 1 }, CancellationToken.None))!.Epoch)));
        Assert.That(epochs, Is.Unique);
        Assert.That((await catalogs[0].LoadAsync(CancellationToken.None)).NextRangeId, Is.EqualTo(41));
    }

    [Test]
    public async Task A_refusal_rests_on_the_truth_not_on_an_old_guess()
    {
        await using var store = new InMemoryCatalogStore(TimeProvider.System);
        var (mine, other) = (new RoutingCatalog(store), new RoutingCatalog(store));
        await mine.TryUpdateAsync(s => s with { NextGroupId = 5 }, CancellationToken.None);
        await other.TryUpdateAsync(s => s with { NextGroupId = 6 }, CancellationToken.None);
        Assert.That(await mine.TryUpdateAsync(s => s.NextGroupId == 5 ? null : s with { NextGroupId = 7 }, CancellationToken.None), Is.Not.Null);
        Assert.That(await mine.TryUpdateAsync(s => null, CancellationToken.None), Is.Null);
        Assert.That((await other.LoadAsync(CancellationToken.None)).NextGroupId, Is.EqualTo(7));
    }
}
