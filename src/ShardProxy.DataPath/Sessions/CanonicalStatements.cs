using System.Collections.Concurrent;
using System.Text;
using ShardProxy.Sql;
using ShardProxy.Wire.Messages;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Gives every (text, parameter types, settings that decide what it means) one id for the whole proxy, so that clients that prepare the same statement share it on
/// a server connection. What a text means changes with the schema: after DDL the same text gets another id, so that a client that prepares
/// it then is not answered by a statement prepared before. Bounded in number and size: past the bound new keys get ids that nobody shares.
/// </summary>
internal sealed class CanonicalStatements
{
    private const int Maximum = 100_000;
    private const long MaximumCharacters = 64 * 1024 * 1024;

    private ConcurrentDictionary<string, long> _ids = new(StringComparer.Ordinal);
    private long _last;
    private long _characters;

    /// <summary>The id of a statement.</summary>
    /// <param name="meaning">Of the client's settings: <see cref="SessionSettings.Meaning"/>.</param>
    public long IdOf(ReadOnlySpan<byte> sql, ReadOnlySpan<byte> encodedTypes, string meaning)
    {
        // One string as the key: types as hexadecimal, the settings with their length, then the text: none can be taken for a part of the next.
        // A character a byte, for the text may be in any encoding.
        var key = meaning.Length == 0
            ? string.Concat(Convert.ToHexString(encodedTypes), "|", Encoding.Latin1.GetString(sql))
            : $"{Convert.ToHexString(encodedTypes)}:{meaning.Length}:{meaning}|{Encoding.Latin1.GetString(sql)}";
        var ids = Volatile.Read(ref _ids);
        if (ids.TryGetValue(key, out var id))
        {
            return id;
        }

        id = Interlocked.Increment(ref _last);
        if (ids.Count >= Maximum || Interlocked.Read(ref _characters) + key.Length > MaximumCharacters)
        {
            return id;
        }

        var shared = ids.GetOrAdd(key, id);
        if (shared == id)
        {
            Interlocked.Add(ref _characters, key.Length);
        }

        return shared;
    }

    /// <summary>An id that nobody shares.</summary>
    public long OwnId() => Interlocked.Increment(ref _last);

    /// <summary>The schema has changed, or may have: what is prepared from now on is prepared anew.</summary>
    public void Forget()
    {
        if (!Volatile.Read(ref _ids).IsEmpty)
        {
            Interlocked.Exchange(ref _characters, 0);
            Volatile.Write(ref _ids, new ConcurrentDictionary<string, long>(StringComparer.Ordinal));
        }
    }

    /// <summary>True for statements after which the same text may mean something else.</summary>
    public static bool MayChangeMeaning(StatementKind kind) => kind is StatementKind.CreateTable or StatementKind.AlterTable
        or StatementKind.DropTable or StatementKind.OtherDdl or StatementKind.Other or StatementKind.Unparsable
        or StatementKind.Discard;

    /// <summary>
    /// True for what a statement prepared before some DDL answers: "cached plan must not change result type", "cache lookup failed for type".
    /// The DDL may not have come through the proxy.
    /// </summary>
    public static bool IsOutdated(ErrorFields error) => error.SqlState is "0A000" or "XX000";

    /// <summary>The server-side name of an id.</summary>
    public static byte[] NameOf(long id) => Encoding.ASCII.GetBytes($"sp_{id}");
}
