using System.Diagnostics.CodeAnalysis;

namespace ShardProxy.DataPath.Sessions;

/// <summary>The named prepared statements of one client, counted in number and in bytes. One session's: not for several threads.</summary>
internal sealed class PreparedStatements
{
    private Dictionary<string, PreparedStatement>? _byName;

    public int Count => _byName?.Count ?? 0;

    /// <summary>What they take, about: <see cref="PreparedStatement.Bytes"/> of each.</summary>
    public long Bytes { get; private set; }

    public PreparedStatement? Find(string name) => _byName?.GetValueOrDefault(name);

    /// <summary>Adds a statement, in the place of one of the same name.</summary>
    public void Set(PreparedStatement statement)
    {
        _byName ??= new Dictionary<string, PreparedStatement>(StringComparer.Ordinal);
        Remove(statement.Name, out _);
        _byName[statement.Name] = statement;
        Bytes += statement.Bytes;
    }

    public bool Remove(string name, [NotNullWhen(true)] out PreparedStatement? statement)
    {
        statement = null;
        if (_byName?.Remove(name, out statement) != true)
        {
            return false;
        }

        Bytes -= statement!.Bytes;
        return true;
    }

    public void Clear()
    {
        _byName = null;
        Bytes = 0;
    }
}
