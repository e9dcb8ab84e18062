using ShardProxy.Model.Topology;

namespace ShardProxy.Model.Keys;

/// <summary>A key column inside SQL text that the project writes.</summary>
/// <param name="Expression">
/// How to write the column there, quoted and qualified as the place asks for: <c>"k"</c>, <c>t."k"</c>, <c>NEW."k"</c>.
/// </param>
/// <param name="Type">Its type.</param>
public readonly record struct KeyColumn(string Expression, KeyType Type);
