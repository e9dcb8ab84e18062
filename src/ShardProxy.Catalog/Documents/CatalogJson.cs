using System.Text.Json;
using System.Text.Json.Serialization;
using ShardProxy.Catalog.Fleet;
using ShardProxy.Catalog.Journal;

namespace ShardProxy.Catalog.Documents;

/// <summary>Source-generated JSON of everything the catalog stores.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(CatalogDocument))]
[JsonSerializable(typeof(MigrationRecord))]
[JsonSerializable(typeof(DistributionRecord))]
[JsonSerializable(typeof(ProxyRecord))]
[JsonSerializable(typeof(ConsoleRequest))]
internal sealed partial class CatalogJson : JsonSerializerContext;
