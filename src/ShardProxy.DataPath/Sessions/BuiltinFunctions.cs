using System.Collections.Frozen;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Names of PostgreSQL 15's own functions, aggregates included. A call by another name runs code the proxy does not know; one of a newer
/// server that is missing here merely counts as that.
/// </summary>
internal static class BuiltinFunctions
{
    private static readonly FrozenSet<string> Names = Read();

    public static bool Contains(string name) => Names.Contains(name);

    private static FrozenSet<string> Read()
    {
        using var stream = typeof(BuiltinFunctions).Assembly.GetManifestResourceStream("ShardProxy.DataPath.Sessions.BuiltinFunctions.txt")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).ToFrozenSet(StringComparer.Ordinal);
    }
}
