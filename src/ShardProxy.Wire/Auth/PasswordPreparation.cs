using System.Text;

namespace ShardProxy.Wire.Auth;

/// <summary>
/// SASLprep (RFC 4013) as PostgreSQL applies it to passwords (its src/common/saslprep.c): where the profile forbids a password, the
/// raw bytes are used instead of refusing it, on both sides alike.
/// </summary>
public static class PasswordPreparation
{
    // Hangul syllables decompose and compose by arithmetic (Unicode Standard, section 3.12).
    private const int SyllableBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TrailBase = 0x11A7;
    private const int LeadCount = 19, VowelCount = 21, TrailCount = 28, SyllableCount = LeadCount * VowelCount * TrailCount;

    /// <summary>The bytes to derive keys from. The caller owns them and may clear them.</summary>
    public static byte[] Prepare(string password) => Ascii.IsValid(password) ? Encoding.UTF8.GetBytes(password) : PrepareUnicode(password);

    private static byte[] PrepareUnicode(string password)
    {
        var tables = UnicodePreparation.Instance;
        var mapped = new List<int>(password.Length);
        foreach (var rune in password.EnumerateRunes())
        {
            if (tables.IsNonAsciiSpace(rune.Value))
            {
                mapped.Add(' ');
            }
            else if (!tables.IsMappedToNothing(rune.Value))
            {
                mapped.Add(rune.Value);
            }
        }

        // The standard checks what normalisation gives; PostgreSQL checks what goes into it, and that is what has to be met.
        if (mapped.Count == 0 || mapped.Exists(tables.IsProhibited) || !IsDirectionConsistent(mapped, tables))
        {
            return Encoding.UTF8.GetBytes(password);
        }

        var prepared = Compose(Decompose(mapped, tables), tables);
        return Encoding.UTF8.GetBytes(string.Concat(prepared.Select(char.ConvertFromUtf32)));
    }

    /// <summary>RFC 3454 section 6: right-to-left characters only without left-to-right ones, and at both ends.</summary>
    private static bool IsDirectionConsistent(List<int> characters, UnicodePreparation tables) =>
        !characters.Exists(tables.IsRightToLeft)
        || (!characters.Exists(tables.IsLeftToRight) && tables.IsRightToLeft(characters[0]) && tables.IsRightToLeft(characters[^1]));

    /// <summary>Compatibility decomposition in canonical order.</summary>
    private static List<int> Decompose(List<int> characters, UnicodePreparation tables)
    {
        var decomposed = new List<int>(characters.Count);
        foreach (var character in characters)
        {
            var syllable = character - SyllableBase;
            if (syllable is >= 0 and < SyllableCount)
            {
                decomposed.Add(LeadBase + (syllable / (VowelCount * TrailCount)));
                decomposed.Add(VowelBase + (syllable % (VowelCount * TrailCount) / TrailCount));
                if (syllable % TrailCount != 0)
                {
                    decomposed.Add(TrailBase + (syllable % TrailCount));
                }
            }
            else if (tables.Decompose(character) is { } parts)
            {
                decomposed.AddRange(parts);
            }
            else
            {
                decomposed.Add(character);
            }
        }

        Order(decomposed, tables);
        return decomposed;
    }

    /// <summary>Sorts each run of combining characters by class, equal ones in their order.</summary>
    private static void Order(List<int> characters, UnicodePreparation tables)
    {
        for (var i = 1; i < characters.Count; i++)
        {
            var character = characters[i];
            var combiningClass = tables.CombiningClass(character);
            if (combiningClass == 0)
            {
                continue;
            }

            var at = i;
            for (; at > 0 && tables.CombiningClass(characters[at - 1]) > combiningClass; at--)
            {
                characters[at] = characters[at - 1];
            }

            characters[at] = character;
        }
    }

    /// <summary>Canonical composition.</summary>
    private static List<int> Compose(List<int> characters, UnicodePreparation tables)
    {
        var composed = new List<int>(characters.Count);
        int starterAt = -1, lastClass = -1;
        foreach (var character in characters)
        {
            var combiningClass = tables.CombiningClass(character);
            if (starterAt >= 0 && lastClass < combiningClass && ComposePair(composed[starterAt], character, tables) is var composite and not 0)
            {
                composed[starterAt] = composite;
                continue;
            }

            if (combiningClass == 0)
            {
                starterAt = composed.Count;
                lastClass = -1;
            }
            else
            {
                lastClass = combiningClass;
            }

            composed.Add(character);
        }

        return composed;
    }

    private static int ComposePair(int first, int second, UnicodePreparation tables)
    {
        int lead = first - LeadBase, vowel = second - VowelBase;
        if (lead is >= 0 and < LeadCount && vowel is >= 0 and < VowelCount)
        {
            return SyllableBase + (((lead * VowelCount) + vowel) * TrailCount);
        }

        int syllable = first - SyllableBase, trail = second - TrailBase;
        if (syllable is >= 0 and < SyllableCount && syllable % TrailCount == 0 && trail is > 0 and < TrailCount)
        {
            return first + trail;
        }

        return tables.Compose(first, second);
    }
}
