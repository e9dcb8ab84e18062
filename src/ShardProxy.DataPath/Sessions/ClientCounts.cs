using System.Runtime.InteropServices;

namespace ShardProxy.DataPath.Sessions;

/// <summary>
/// How many clients there are as each user and of each database, to keep them to their limits. Counted whether there is a limit or not, so that
/// one that RELOAD brings holds at once. From any thread.
/// </summary>
internal sealed class ClientCounts
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _byUser = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _byDatabase = new(StringComparer.Ordinal);

    /// <summary>Counts a client in, or says which limit it would exceed and counts nothing. What is counted in is to be counted out.</summary>
    public Admission TryEnter(string user, string database, DataPathOptions options)
    {
        var ofUser = options.LimitsOf(user).MaxConnections ?? options.MaxUserConnections;
        lock (_lock)
        {
            if (ofUser > 0 && _byUser.GetValueOrDefault(user) >= ofUser)
            {
                return Admission.UserFull;
            }

            if (options.MaxDatabaseConnections > 0 && _byDatabase.GetValueOrDefault(database) >= options.MaxDatabaseConnections)
            {
                return Admission.DatabaseFull;
            }

            CollectionsMarshal.GetValueRefOrAddDefault(_byUser, user, out _)++;
            CollectionsMarshal.GetValueRefOrAddDefault(_byDatabase, database, out _)++;
            return Admission.Free;
        }
    }

    public void Leave(string user, string database)
    {
        lock (_lock)
        {
            Decrease(_byUser, user);
            Decrease(_byDatabase, database);
        }
    }

    // Names that nobody uses are forgotten: clients choose them.
    private static void Decrease(Dictionary<string, int> counts, string name)
    {
        if (--CollectionsMarshal.GetValueRefOrAddDefault(counts, name, out _) <= 0)
        {
            counts.Remove(name);
        }
    }
}

/// <summary>Whether one more client may come in.</summary>
internal enum Admission
{
    Free,
    UserFull,
    DatabaseFull,
}
