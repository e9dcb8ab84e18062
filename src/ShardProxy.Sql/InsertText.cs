using System.Collections.Immutable;
using System.Text;
using ShardProxy.Sql.Shapes;

namespace ShardProxy.Sql;

/// <summary>A column that an INSERT gets a value for.</summary>
/// <param name="Name">As SQL.</param>
/// <param name="Position">The position of the value in every row; -1 when the rows do not have it.</param>
public readonly record struct AddedColumn(string Name, int Position);

/// <summary>
/// Writes values into an INSERT that leaves columns to their defaults, or computes them, by splicing its own text. It has <see cref="InsertSummary.Places"/>.
/// </summary>
public static class InsertText
{
    /// <param name="statement">The statement's text, from a scan's Start to its End.</param>
    /// <param name="insert">Of exactly this text.</param>
    /// <param name="columns">The columns to add.</param>
    /// <param name="written">Names of the columns that the rows have where the text does not name them, as SQL; used when a column list has to be made.</param>
    /// <param name="value">By row and index into <paramref name="columns"/>: the value as SQL; null leaves what is there.</param>
    /// <param name="overrides">OVERRIDING SYSTEM VALUE has to be said.</param>
    public static byte[] WithValues(
        ReadOnlyMemory<byte> statement, InsertSummary insert, ImmutableArray<AddedColumn> columns, IEnumerable<string> written, Func<int, int, string?> value, bool overrides)
    {
        ArgumentNullException.ThrowIfNull(insert);
        ArgumentNullException.ThrowIfNull(value);
        var places = insert.Places!;
        var tokens = new TokenTable(statement.ToArray(), statement.Length);
        var result = new StringBuilder(statement.Length + 64);
        var at = 0;

        void CopyTo(int end)
        {
            result.Append(Encoding.UTF8.GetString(statement.Span[at..end]));
            at = end;
        }

        var absent = columns.Index().Where(c => c.Item.Position < 0).ToList();
        var names = string.Join(", ", absent.Select(c => c.Item.Name));
        if (absent.Count > 0 && places.ColumnsEnd >= 0)
        {
            CopyTo(tokens[places.ColumnsEnd].Start);
            result.Append(", ").Append(names);
        }
        else if (absent.Count > 0)
        {
            CopyTo(tokens[places.NameEnd].End);
            result.Append(" (").AppendJoin(", ", written.Append(names)).Append(')');
        }

        CopyTo(tokens[places.Values].Start);
        result.Append(overrides ? "OVERRIDING SYSTEM VALUE " : "");
        if (places.Rows.IsEmpty)
        {
            result.Append("VALUES (").AppendJoin(", ", absent.Select(c => value(0, c.Index))).Append(')');
            at = tokens[places.Values + 1].End;
        }

        for (var row = 0; row < places.Rows.Length; row++)
        {
            foreach (var (position, place) in Values(tokens, places.Rows[row]).Index())
            {
                foreach (var (index, column) in columns.Index())
                {
                    if (column.Position == position && value(row, index) is { } own)
                    {
                        CopyTo(tokens[place.First].Start);
                        result.Append(own);
                        at = tokens[place.Last].End;
                    }
                }
            }

            CopyTo(tokens[places.Rows[row].Last].Start);
            foreach (var (index, _) in absent)
            {
                result.Append(", ").Append(value(row, index));
            }
        }

        CopyTo(statement.Length);
        return Encoding.UTF8.GetBytes(result.ToString());
    }

    /// <summary>The text of the value at a position of each row.</summary>
    public static IReadOnlyList<string> ValuesAt(ReadOnlyMemory<byte> statement, InsertSummary insert, int position)
    {
        ArgumentNullException.ThrowIfNull(insert);
        var tokens = new TokenTable(statement.ToArray(), statement.Length);
        return [.. insert.Places!.Rows.Select(r => Values(tokens, r)[position]).Select(v => Encoding.UTF8.GetString(statement.Span[tokens[v.First].Start..tokens[v.Last].End]))];
    }

    // The values of a row.
    private static List<TokenRange> Values(TokenTable tokens, TokenRange row)
    {
        var values = new List<TokenRange>();
        var (depth, first) = (0, row.First + 1);
        for (var i = row.First; i <= row.Last; i++)
        {
            if (tokens.IsSign(i, '(') || tokens.IsSign(i, '['))
            {
                depth++;
            }
            else if ((tokens.IsSign(i, ')') || tokens.IsSign(i, ']')) && --depth > 0)
            {
                // Within a value.
            }
            else if (i == row.Last || (depth == 1 && tokens.IsSign(i, ',')))
            {
                values.Add(new TokenRange(first, i - 1));
                first = i + 1;
            }
        }

        return values;
    }
}
