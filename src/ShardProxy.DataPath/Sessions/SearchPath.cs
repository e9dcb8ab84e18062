using System.Collections.Concurrent;
using ShardProxy.Sql;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// Whether a name without schema means schema public, where placed tables are. Where that is not certain such a name is refused, never
/// guessed.
/// </summary>
internal sealed class SearchPath
{
    private readonly ConcurrentDictionary<string, bool> _unusual = new(StringComparer.Ordinal);

    /// <summary>A user's own default leads elsewhere: ALTER ROLE … SET search_path, or a schema of the user's name.</summary>
    public void NoteUnusual(string user) => _unusual[user] = true;

    /// <summary>What a new server connection says its schemas are (<c>current_schemas(false)</c>).</summary>
    public void NoteDefault(string user, string schemas)
    {
        if (schemas != "{public}")
        {
            NoteUnusual(user);
        }
    }

    /// <summary>DDL has run: a schema with the user's name comes first in the default path.</summary>
    public void NoteDdl(string user, StatementShape shape)
    {
        if (shape.Utility is { Object: UtilityObject.Schema } schema
            && (schema.Names.IsEmpty || schema.Names.Any(n => string.Equals(n.Name, user, StringComparison.Ordinal))
                || shape.Text.Contains(" authorization ", StringComparison.OrdinalIgnoreCase) || shape.Text.Contains(" rename ", StringComparison.OrdinalIgnoreCase))
            && !shape.Text.StartsWith("drop ", StringComparison.OrdinalIgnoreCase) && shape.Text.Contains(user, StringComparison.OrdinalIgnoreCase))
        {
            NoteUnusual(user);
        }
    }

    /// <summary>See <see cref="NoteUnusual"/>.</summary>
    public bool IsUnusual(string user) => !_unusual.IsEmpty && _unusual.ContainsKey(user);

    /// <summary>True when names without schema are looked up in public alone.</summary>
    public static bool IsPublic(SessionSettings settings)
    {
        if (settings["search_path"] is { } path)
        {
            // The path public alone is certain too, but rare: one answer for both keeps the question cheap.
            var text = path.Text.Replace(" ", "", StringComparison.Ordinal);
            if (path.IsConfigText ? text is not ("public" or "\"$user\",public") : text is not ("'public'" or "'$user','public'"))
            {
                return false;
            }
        }

        return !settings.ChangesUser;
    }
}
