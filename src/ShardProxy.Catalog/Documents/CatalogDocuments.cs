using System.Collections.Immutable;
using System.Text.Json;
using ShardProxy.Model.Errors;
using ShardProxy.Model.Routing;
using ShardProxy.Model.Topology;

namespace ShardProxy.Catalog.Documents;

/// <summary>State to bytes and back.</summary>
internal static class CatalogDocuments
{
    public static byte[] Write(CatalogState state) => JsonSerializer.SerializeToUtf8Bytes(ToDocument(state), CatalogJson.Default.CatalogDocument);

    /// <exception cref="ShardProxyException">The text is no catalog document, or of a later version.</exception>
    public static CatalogState Read(ReadOnlySpan<byte> json)
    {
        CatalogDocument? document;
        try
        {
            document = JsonSerializer.Deserialize(json, CatalogJson.Default.CatalogDocument);
        }
        catch (JsonException e)
        {
            throw new ShardProxyException(CatalogErrors.Unreadable(), e);
        }

        return document switch
        {
            null => throw new ShardProxyException(CatalogErrors.Unreadable()),
            { Format: > CatalogDocument.CurrentFormat } => throw new ShardProxyException(CatalogErrors.FromLaterVersion(document.Format)),
            _ => ToState(document),
        };
    }

    private static CatalogDocument ToDocument(CatalogState state) => new()
    {
        Format = state.Tables.Any(t => t.IsPartitioned) ? CatalogDocument.CurrentFormat
            : state.Groups.Any(g => g.Scale is not null) ? CatalogDocument.FormatWithScales : CatalogDocument.FirstFormat,
        Epoch = state.Epoch,
        PlacementVersion = state.PlacementVersion,
        NextNodeId = state.NextNodeId,
        NextGroupId = state.NextGroupId,
        NextRangeId = state.NextRangeId,
        NextMigrationId = state.NextMigrationId,
        ClusterTag = state.ClusterTag,
        Nodes = [.. state.Nodes.Select(n => new NodeDocument(n.Id, n.Name, n.Host, n.Port, n.Capacity, n.IsHome))],
        Groups = [.. state.Groups.Select(g => new GroupDocument(
            g.Id, g.Name, (int)g.Method, [.. g.KeyTypes.Select(k => (int)k)], [.. g.Ranges.Select(r => new RangeDocument(r.Id, r.From, r.To, r.NodeId))],
            g.Scale?.Marks.Select(m => new MarkDocument(m.Position, m.Bound.Values)).ToImmutableArray()))],
        Tables = [.. state.Tables.Select(t => new TableDocument(
            t.Name.Schema,
            t.Name.Name,
            (int)t.Placement,
            t.GroupId,
            t.KeyColumns,
            [.. t.Columns.Select(c => new ColumnDocument(c.Name, c.TypeOid, c.TypeModifier, c.IsNotNull, c.IsGenerated)
            {
                DefaultKind = (int?)c.Default?.Kind ?? 0,
                DefaultText = c.Default?.Text,
                DefaultIdentity = c.Default?.Identity ?? ' ',
            })],
            t.IsChanging)
        {
            Parent = t.Parent is { } parent ? new NameDocument(parent.Schema, parent.Name) : null,
            Partitioned = t.IsPartitioned,
        })],
        Moves = [.. state.Moves.Select(m => new MoveDocument(m.MigrationId, m.GroupId, m.RangeId, m.SourceNodeId, m.TargetNodeId, (int)m.Phase) { HeldSince = m.HeldSince, ReadAhead = m.AllowsReadAhead })],
        OpaqueRelations = [.. state.OpaqueRelations.Select(n => new NameDocument(n.Schema, n.Name))],
        OpaqueFunctions = state.OpaqueFunctions,
        Views = [.. state.Schema.Views.Select(v => new ViewDocument(v.Name.Schema, v.Name.Name, v.Sql, v.Readers))],
        PureFunctions = state.Schema.PureFunctions,
        OpaqueTargets = [.. state.Schema.OpaqueTargets.Select(n => new NameDocument(n.Schema, n.Name))],
        ForeignKeys = [.. state.Schema.ForeignKeys.Select(k => new ForeignKeyDocument(
            k.Name, new NameDocument(k.Child.Schema, k.Child.Name), new NameDocument(k.Parent.Schema, k.Parent.Name), k.ChildColumns, k.ParentColumns, k.OnDelete, k.OnUpdate, k.DeleteSets, k.HasMovingDefault))],
        Types = [.. state.Schema.Types.Select(n => new TypesDocument(n.NodeId, [.. n.Twins.SelectMany(t => (uint[])[(uint)t.Form, t.Home, t.Node, t.Element])]))],
    };

    private static CatalogState ToState(CatalogDocument document) => new()
    {
        Epoch = document.Epoch,
        PlacementVersion = document.PlacementVersion,
        NextNodeId = document.NextNodeId,
        NextGroupId = document.NextGroupId,
        NextRangeId = document.NextRangeId,
        NextMigrationId = document.NextMigrationId,
        ClusterTag = document.ClusterTag,
        Nodes = [.. document.Nodes.Select(n => new Node(n.Id, n.Name, n.Host, n.Port, n.Capacity, n.Home))],
        Groups = [.. document.Groups.Select(g => new TableGroup(
            g.Id,
            g.Name,
            (ShardingMethod)g.Method,
            [.. g.KeyTypes.Select(k => (KeyType)k)],
            [.. g.Ranges.Select(r => new ShardRange(r.Id, g.Id, r.From, r.To, r.Node))],
            ScaleOf(g)))],
        Tables = [.. document.Tables.Select(t => new PlacedTable
        {
            Name = new QualifiedName(t.Schema, t.Name),
            Placement = (TablePlacement)t.Placement,
            GroupId = t.Group,
            KeyColumns = t.Key,
            Columns = [.. t.Columns.Select(c => new TableColumn(c.Name, c.Type, c.Modifier, c.NotNull, c.Generated)
            {
                Default = c.DefaultKind == 0 ? null : new ColumnDefault((ColumnDefaultKind)c.DefaultKind, c.DefaultText ?? "", c.DefaultIdentity),
            })],
            IsChanging = t.Changing,
            Parent = t.Parent is { } parent ? new QualifiedName(parent.Schema, parent.Name) : null,
            IsPartitioned = t.Partitioned,
        })],
        Moves = [.. document.Moves.Select(m => new RangeMove(m.Migration, m.Group, m.Range, m.Source, m.Target, (MovePhase)m.Phase) { HeldSince = m.HeldSince, AllowsReadAhead = m.ReadAhead })],
        OpaqueRelations = [.. document.OpaqueRelations.Select(n => new QualifiedName(n.Schema, n.Name))],
        OpaqueFunctions = document.OpaqueFunctions,
        Schema = new SchemaKnowledge(
            [.. document.Views.Select(v => new ViewDefinition(new QualifiedName(v.Schema, v.Name), v.Sql, v.Readers))],
            document.PureFunctions,
            [.. document.OpaqueTargets.Select(n => new QualifiedName(n.Schema, n.Name))])
        {
            ForeignKeys = [.. document.ForeignKeys.Select(k => new ForeignKey(
                k.Name, new QualifiedName(k.Child.Schema, k.Child.Name), new QualifiedName(k.Parent.Schema, k.Parent.Name), k.ChildColumns, k.ParentColumns, k.OnDelete, k.OnUpdate, k.DeleteSets, k.MovingDefault))],
            Types = [.. document.Types.Select(n => new NodeTypes(n.Node, [.. n.Twins.Chunk(4).Select(t => new TypeTwin((TypeForm)t[0], t[1], t[2], t[3]))]))],
        },
    };

    private static KeyScale? ScaleOf(GroupDocument group)
    {
        if (group.Marks is not { } marks)
        {
            return null;
        }

        ImmutableArray<KeyType> types = [.. group.KeyTypes.Select(k => (KeyType)k)];
        return new KeyScale([.. marks.Select(m => new KeyMark(m.At, KeyBound.TryParse(types, m.Key) ?? throw new ShardProxyException(CatalogErrors.Unreadable())))]);
    }
}
