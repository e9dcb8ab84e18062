namespace ShardProxy.Configuration;

/// <summary>What somebody who wrote an unknown name may have meant.</summary>
internal static class Suggestion
{
    private const int ListedAtMost = 16;

    /// <summary>"did you mean …?" when a name is near, otherwise the list of names where it is short.</summary>
    public static string For(string written, IReadOnlyList<string> names)
    {
        var nearest = names.MinBy(name => Distance(written, name));
        if (nearest is not null && Distance(written, nearest) <= Math.Max(2, nearest.Length / 3))
        {
            return $"did you mean \"{nearest}\"?";
        }

        return names.Count <= ListedAtMost ? $"the keys here are {string.Join(", ", names)}" : "`shardproxy check-config --keys` lists them all";
    }

    /// <summary>Levenshtein distance, capitals and small letters alike.</summary>
    internal static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var substituted = diagonal + (char.ToUpperInvariant(a[i - 1]) == char.ToUpperInvariant(b[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substituted, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[b.Length];
    }
}
